"""CLIP (Radford et al., arXiv 2103.00020) and what is trained from it, as PickScore; SigLIP (Zhai et al., arXiv 2303.15343)."""

from . import loading
from .backbone import DualEncoder, embedding_of


class Clip(DualEncoder):
    """Any CLIP dual encoder in the Hugging Face layout."""

    model_type, class_name = "clip", "CLIPModel"

    def load(self, folder):
        self.tokenizer = loading.tokenizer(folder)
        net = loading.pretrained(self.class_name, folder)
        self.text_length = net.config.text_config.max_position_embeddings
        loading.check_vocabulary(self.tokenizer, net.config.text_config.vocab_size, folder)
        return net

    def features(self, net, pixels):
        return embedding_of(net.get_image_features(pixel_values=pixels)).float()

    def tokens(self, texts):
        return self.tokenizer(texts, padding="max_length", truncation=True, max_length=self.text_length, return_tensors="pt").input_ids

    def token_count(self, text):
        return len(self.tokenizer(text).input_ids)

    def text_embedding(self, net, tokens):
        return embedding_of(net.get_text_features(input_ids=tokens))


class Siglip(Clip):
    """SigLIP and SigLIP 2 of fixed resolution. They know lower-case text padded to its full length: anything else wrecks the
    scores."""

    model_type, class_name = "siglip", "SiglipModel"

    def tokens(self, texts):
        return super().tokens([text.lower() for text in texts])
