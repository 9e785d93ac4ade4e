"""Downloads the known scorer weights: only when asked, whole, from one recorded revision, and verified.

Half a download lies in NAME.partial/NAME, one level below where scorers look for models, and a second run goes on from there.
"""

import shutil
import time
from contextlib import contextmanager
from pathlib import Path

from . import source, weights
from .source import Source, check

try:
    import comfy.model_management as host
    from comfy.utils import ProgressBar
except ImportError:  # as in residency.py
    host = None

# Named, because it is an Exception in older hosts and a BaseException in newer ones.
INTERRUPTED = host.InterruptProcessingException if host else ()
ALLOWED = (".safetensors", ".json", ".txt", ".model")
TIMEOUT = 10  # seconds that the hub may take to describe a repository


def installed(name):
    """The folder in which all needed files of a model of weights.KNOWN lie (Path), or None."""
    return next((root / name for root in weights.search_paths() if not _lacking(name, root / name)), None)


def download(name, tell=lambda text: None):
    """Installs a model of weights.KNOWN in the first of weights.search_paths() and returns its folder (Path).

    A complete folder is only checked. tell: called with how far it is, about once a second. Shows its progress and can be interrupted
    where there is a host; what has arrived by then is kept for the next run. Raises ValueError if an installed file is not what was
    downloaded or a file's kind is refused, FileNotFoundError if a folder or a repository lacks files, RuntimeError for all that hub,
    network and disk do.
    """
    if folder := installed(name):
        check(folder)
        return folder
    folder = weights.search_paths()[0] / name
    if folder.exists():
        check(folder)
        raise FileNotFoundError(
            f"{folder} lacks {_lacking(name, folder)}, and Scorer Download does not touch a folder that it did not make: add what "
            f"is missing for the input model {name} by hand, or rename the folder and run Scorer Download again."
        )
    partial = Path(f"{folder}.partial", name)
    plan = _plan(name, folder, partial)
    kept = sum(_keep(partial / file, stated.size) for file, stated in plan.items())
    total = sum(stated.size for stated in plan.values())
    _require_space(folder, total - kept)
    with _explained(source.RECORD, folder):
        partial.mkdir(parents=True, exist_ok=True)
        for unplanned in set(partial.iterdir()) - {partial / file for file in plan}:  # begun by another version of this pack
            unplanned.unlink()
        source.write(partial, plan)
    with _progress(name, kept, total, tell) as bar:
        for file, stated in plan.items():
            with _explained(f"{file} of {stated.repository}", folder):
                _fetch(file, stated, partial / file, bar)
            if not source.intact(partial / file, stated):
                (partial / file).unlink()
                raise RuntimeError(
                    f"{file} of {stated.repository} came with another hash than the hub states and was deleted, so the input model {name} "
                    f"is not installed in {folder}: run Scorer Download again, and if that repeats itself distrust the connection."
                )
    with _explained("the verified files", folder):
        partial.rename(folder)
        partial.parent.rmdir()
    return folder


def _lacking(name, folder):
    """The needed files that are not in the folder, and where they are to be had; "" if none."""
    lacking = [(repository, [f for f in files if not (folder / f).is_file()]) for repository, files in weights.KNOWN[name].sources]
    return " and ".join(f"{', '.join(files)} from {repository}" for repository, files in lacking if files)


def _plan(name, folder, partial):
    """What to fetch: {file name: Source}, as the hub states it now, or at the revision with which an earlier run began."""
    from huggingface_hub import HfApi

    begun = {stated.repository: stated.revision for stated in source.read(partial).values()}
    plan = {}
    for repository, files in weights.KNOWN[name].sources:
        if refused := [file for file in files if not file.endswith(ALLOWED)]:
            raise ValueError(
                f"{', '.join(refused)} of {repository} is refused and the input model {name} not installed in {folder}: only "
                f"{', '.join(ALLOWED)} are downloaded, so name other files in scorers/weights.py."
            )
        with _explained(f"{', '.join(files)} of {repository}", folder):
            info = HfApi().model_info(repository, revision=begun.get(repository), files_metadata=True, timeout=TIMEOUT)
            stated = {sibling.rfilename: sibling for sibling in info.siblings}
        if absent := [file for file in files if file not in stated]:
            raise FileNotFoundError(
                f"{repository} has no {', '.join(absent)} in its revision {info.sha}, so the input model {name} cannot be installed "
                f"in {folder}: choose another model, or put these files there by hand."
            )
        for file in files:
            at = stated[file]
            # Small files lie in git itself; of the others git has only a pointer, and the hub states the content's own hash.
            plan[file] = Source(repository, info.sha, at.size, f"sha256:{at.lfs.sha256}" if at.lfs else f"git-sha1:{at.blob_id}")
    return plan


def _keep(path, size):
    """Bytes of an earlier run to go on from; a file that is longer than it should be is discarded."""
    if path.exists() and path.stat().st_size > size:
        path.unlink()
    return path.stat().st_size if path.exists() else 0


def _require_space(folder, needed):
    free = shutil.disk_usage(next(parent for parent in folder.parents if parent.exists())).free
    if needed > free:
        raise RuntimeError(
            f"The input model {folder.name} needs {needed / 1e6:.1f} MB more in {folder}, and {free / 1e6:.1f} MB are free: free "
            f"some space and run Scorer Download again. Nothing was fetched."
        )


@contextmanager
def _progress(name, kept, total, tell):
    """One bar over all files, in bytes, in the console and in the host, that stops the transfer when the user does."""
    from huggingface_hub.utils import tqdm

    shown = ProgressBar(total) if host else None
    started, told = time.monotonic(), 0.0

    class Bar(tqdm):
        def update(self, n=1):
            nonlocal told
            if host:
                host.throw_exception_if_processing_interrupted()
                shown.update(n)
            drawn = super().update(n)
            if (now := time.monotonic()) - told >= 1:
                told, speed = now, (self.n - kept) / max(now - started, 1e-3)
                tell(f"{name}: {self.n / 1e6:.0f} of {total / 1e6:.0f} MB, {speed / 1e6:.1f} MB/s")
            return drawn

    if shown:
        shown.update(kept)
    with Bar(desc=name, initial=kept, total=total, unit="B", unit_scale=True) as bar:
        yield bar


def _fetch(file, stated, path, bar):
    # Not hf_hub_download: it throws half a file away, and its Xet transfer runs in threads that no exception stops.
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    url = hf_hub_url(stated.repository, file, revision=stated.revision)
    with path.open("ab") as f:
        # The bar is an instance, not tqdm_class, which huggingface_hub before 1.0 does not know.
        http_get(url, f, resume_size=f.tell(), expected_size=stated.size, headers=build_hf_headers(), _tqdm_bar=bar)


@contextmanager
def _explained(what, folder):
    """Makes one sentence of whatever hub, network or disk raise."""
    try:
        yield
    except INTERRUPTED:
        raise
    except Exception as e:  # the hub's client raises errors of several libraries
        status = getattr(getattr(e, "response", None), "status_code", None)
        if getattr(e, "errno", None):
            reason = f"{e.strerror}; make room or give write access there and run it again, it goes on where it stopped"
        elif status in (401, 403, 404):
            reason = (
                f"the hub answers {status}; look at the repository's page on https://huggingface.co, accept its terms if it has "
                f"any, put an access token into HF_TOKEN, and run it again, without {folder}.partial if its revision is gone"
            )
        else:
            reason = (
                f"{type(e).__name__}: {' '.join(str(e).split())}; connect to the network and unset HF_HUB_OFFLINE, then run it "
                f"again, it goes on where it stopped, or put the files there by hand"
            )
        raise RuntimeError(f"Scorer Download could not put {what} into {folder}, for its input model: {reason}.") from e
