"""source.json, which lies beside downloaded weights: where each file came from and the hash that the hub stated for it."""

import hashlib
import json
from dataclasses import asdict, dataclass

RECORD = "source.json"
_passed = set()


@dataclass(frozen=True)
class Source:
    """Where a file came from. revision: the commit's hash; size: bytes; hash: "sha256:..." or, of files that the hub keeps in
    git, "git-sha1:..."."""

    repository: str
    revision: str
    size: int
    hash: str


def check(folder):
    """Holds the files of a model's folder (Path) against its source.json; a folder without one is a user's own and passes.

    Raises ValueError if a file is missing or is not what was downloaded. A file that passed is hashed again only after it changed.
    """
    for name, source in read(folder).items():
        if not intact(folder / name, source):
            state = "is not what was downloaded" if (folder / name).exists() else "is missing of what was downloaded"
            raise ValueError(
                f"{folder / name} {state} from {source.repository}: delete {folder} and let the node Scorer Download bring it "
                f"again, or delete its {RECORD} if you changed the folder yourself."
            )


def intact(path, source):
    """Whether the file is there and what the hub stated."""
    if not path.is_file():
        return False
    state = path.stat()
    key = (path, state.st_size, state.st_mtime_ns, source.hash)
    if key not in _passed:
        if state.st_size != source.size or _hash(path, source.hash.partition(":")[0], state.st_size) != source.hash:
            return False
        _passed.add(key)
    return True


def read(folder):
    """{file name: Source} as written in the folder, {} if nothing is. Raises ValueError if it cannot be understood."""
    path = folder / RECORD
    if not path.exists():
        return {}
    try:
        return {name: Source(**source) for name, source in json.loads(path.read_text(encoding="utf-8")).items()}
    except (ValueError, TypeError, AttributeError) as e:
        raise ValueError(f"{path} cannot be understood: delete {folder} and let the node Scorer Download bring it again.") from e


def write(folder, sources):
    text = json.dumps({name: asdict(source) for name, source in sources.items()}, indent=2)
    (folder / RECORD).write_text(text, encoding="utf-8")


def _hash(path, kind, size):
    digest = hashlib.sha256() if kind == "sha256" else hashlib.sha1(b"blob %d\0" % size)
    with path.open("rb") as f:
        while part := f.read(1 << 20):
            digest.update(part)
    return f"{kind}:{digest.hexdigest()}"
