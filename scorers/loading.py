"""Weights into modules: every tensor from the file, or one sentence."""

import torch

from .weights import TEXT_FILES


def tensors(path):
    """Names to tensors of a safetensors file, on the CPU. Raises ValueError for a broken one."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as e:
        raise ValueError(f"{path} is broken or cut short ({e}): delete it and download it again.") from e


def fill(net, found, folder):
    """Load the tensors into a module. Raises ValueError for what is missing or of another shape: nothing stays uninitialised."""
    try:
        net.load_state_dict(found)
    except RuntimeError as e:
        raise ValueError(f"The weights in {folder} are of another architecture: {str(e).splitlines()[1].strip()[:200]}") from e


def pretrained(class_name, folder):
    """A transformers model in float32. Raises ValueError for a broken file or weights that leave a part uninitialised."""
    import transformers
    from safetensors import SafetensorError

    if not hasattr(transformers, class_name):
        raise ValueError(f"transformers {transformers.__version__} has no {class_name}: update the package to use {folder}.")
    try:
        net, report = getattr(transformers, class_name).from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    except SafetensorError as e:
        raise ValueError(f"{folder / 'model.safetensors'} is broken or cut short ({e}): delete it and download it again.") from e
    except RuntimeError as e:
        raise ValueError(f"The weights in {folder} do not have the shapes that its config.json says: download both again.") from e
    missing = sorted(name for name in report["missing_keys"] if "position_ids" not in name)
    if missing:
        raise ValueError(
            f"{folder / 'model.safetensors'} lacks {missing[0]} and {len(missing) - 1} more, so scores would be noise: download the whole model."
        )
    return net


def tokenizer(folder):
    import transformers

    if not any((folder / name).exists() for name in ("tokenizer.json", "vocab.json", "spiece.model")):
        raise FileNotFoundError(f"{folder} has no tokenizer.json: download {' and '.join(TEXT_FILES)} from the model's repository into it.")
    return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)


def check_vocabulary(tokenizer, expected, folder):
    """Raise ValueError for a tokenizer with much less of a vocabulary than the model has embeddings."""
    if len(tokenizer) < expected / 2:
        raise ValueError(
            f"The tokenizer in {folder} has a vocabulary of {len(tokenizer)}, but its model knows {expected} tokens: download {' and '.join(TEXT_FILES)} from the model's repository again."
        )
