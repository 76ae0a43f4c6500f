"""Text and JSON lines to token files: `input_ids`, int32 [sequences, length], in safetensors.

Text is read as Python reads text: UTF-8, every line end (CR LF, CR, LF) a single line feed. A text file is one
document; each line of a JSON lines file is one. Documents are tokenized one by one and their tokens put end to end.
"""

from __future__ import annotations

import argparse
import errno
import gzip
import io
import json
import os
import random
import sys
import time
import zlib
from argparse import BooleanOptionalAction, Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from safetensors.numpy import save
from tokenizers import Tokenizer

from crvq.errors import InputError, OutputError, Parser, run

DOCUMENT_CHARACTERS_MAX = 256 << 20  # a document is tokenized in one piece, at some 200 bytes of memory a character
BATCH_CHARACTERS = 4 << 20
PROGRESS_SECONDS = 2.0


def tokenizer_file(path: Path) -> Path:
    """The tokenizer.json that `path` is or holds."""
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{file}: no such file; --tokenizer takes a tokenizer.json or a model directory that has one")
    return file


def load_tokenizer(file: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises plain Exception for every kind of bad file
        raise InputError(f"{file}: not a tokenizer.json: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def bos_token_id(file: Path, tokenizer: Tokenizer) -> int:
    """The id of the token that begins a text, as the files beside tokenizer.json name it."""
    settings = read_settings(file.parent / "tokenizer_config.json")
    token = settings.get("bos_token")
    if isinstance(token, dict):
        token = token.get("content")
    if isinstance(token, str) and (index := tokenizer.token_to_id(token)) is not None:
        return int(index)
    index = read_settings(file.parent / "config.json").get("bos_token_id")
    if isinstance(index, int):
        return index
    raise InputError(f"{file.parent}: no bos_token in tokenizer_config.json or config.json; use --bos-id N or --no-bos")


def read_settings(file: Path) -> dict[str, object]:
    if not file.is_file():
        return {}
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file}: not JSON: {error}") from error
    return settings if isinstance(settings, dict) else {}


def open_text(path: Path) -> io.TextIOWrapper:
    stream = gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115 (the wrapper closes it)
    return io.TextIOWrapper(stream, encoding="utf-8", newline=None)


def is_json_lines(path: Path) -> bool:
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    return suffixes[-1:] in ([".jsonl"], [".ndjson"])


def documents(path: Path, field: str | None) -> Iterator[str]:
    """The documents of one file; `field` names the text of a JSON line."""
    try:
        with open_text(path) as stream:
            if field is not None or is_json_lines(path):
                yield from json_documents(stream, path, field or "text")
            else:
                text = stream.read(DOCUMENT_CHARACTERS_MAX + 1)
                if len(text) > DOCUMENT_CHARACTERS_MAX:
                    raise InputError(
                        f"{path}: a document of more than {DOCUMENT_CHARACTERS_MAX >> 20} Mi characters; "
                        "split the text into several files or JSON lines"
                    )
                yield text
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start} of the part read") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a whole gzip file: {error}") from error


def json_documents(stream: io.TextIOWrapper, path: Path, field: str) -> Iterator[str]:
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}:{number}: not a JSON object: {error}") from error
        text = record.get(field) if isinstance(record, dict) else None
        if not isinstance(text, str):
            raise InputError(f'{path}:{number}: no text under "{field}" (--jsonl-field names the field)')
        if len(text) > DOCUMENT_CHARACTERS_MAX:
            raise InputError(f"{path}:{number}: a text of more than {DOCUMENT_CHARACTERS_MAX >> 20} Mi characters; split it")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{path}:{number}: half of a surrogate pair at character {error.start}") from error
        yield text.replace("\r\n", "\n").replace("\r", "\n")


def batches(paths: list[Path], field: str | None) -> Iterator[list[str]]:
    """Documents in groups large enough that tokenizing one keeps all cores busy."""
    batch: list[str] = []
    size = 0
    for path in paths:
        for document in documents(path, field):
            batch.append(document)
            size += len(document)
            if size >= BATCH_CHARACTERS:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def token_stream(tokenizer: Tokenizer, paths: list[Path], field: str | None, wanted: int | None) -> np.ndarray:
    """The tokens of all documents end to end, int32 [n]; reading stops once there are `wanted` of them."""
    parts: list[np.ndarray] = []
    total, last_line = 0, time.monotonic()
    for batch in batches(paths, field):
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            parts.append(np.array(encoding.ids, dtype=np.int32))
            total += len(parts[-1])
        if time.monotonic() - last_line > PROGRESS_SECONDS:
            last_line = time.monotonic()
            print(f"tokenize: {total:,} tokens so far", file=sys.stderr)
        if wanted is not None and total >= wanted:
            break
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)


def whole(stream: np.ndarray, bos: int | None) -> np.ndarray:
    """One sequence of all tokens, [1, n], BOS in front."""
    front = [] if bos is None else [bos]
    return np.concatenate([np.array(front, dtype=np.int32), stream])[None, :]


def cut(stream: np.ndarray, length: int, count: int | None, seed: int | None, bos: int | None) -> np.ndarray:
    """Sequences [count, length] of what follows one another in the stream; shuffled if there is a seed."""
    own = length - (bos is not None)
    available = len(stream) // own
    if available < max(count or 1, 1):
        raise InputError(
            f"the text has {len(stream):,} tokens: {available} sequences of {length}, but {count or 1} are wanted; "
            "give more text, or a smaller --count or --length"
        )
    order = list(range(available))
    if seed is not None:
        random.Random(seed).shuffle(order)  # noqa: S311 (numpy may change its order between versions)
    rows = stream[: available * own].reshape(available, own)[order[:count]]
    if bos is None:
        return rows
    return np.concatenate([np.full((len(rows), 1), bos, dtype=np.int32), rows], axis=1)


def write_file(path: Path, data: bytes | None) -> None:
    """Writes a file so that `path` never holds half of one. Without data it only tries whether that can be done."""
    # What a symbolic link stands for is replaced, not the link.
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        try:
            with temporary.open("xb") as stream:
                stream.write(data or b"")
                stream.flush()
                os.fsync(stream.fileno())
            if data is not None:
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(error.errno, f"cannot be written: {error.strerror}", str(path)) from error


def check_place(path: Path) -> None:
    """Refuses a place where no file can be, before all the work that the file is for."""
    if not path.parent.is_dir():
        raise OutputError(errno.ENOENT, "no such directory; make it first", str(path.parent))
    write_file(path, None)


def given_path(text: str) -> Path:
    """A path as it was given. An empty one would be the current directory, which nobody means by it."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, got nothing")
    return Path(text)


def parse(arguments: list[str] | None = None) -> Namespace:
    parser = Parser(prog="tokenize", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--tokenizer", type=given_path, required=True, help="tokenizer.json, or a model directory that has one")
    add("--input", type=given_path, required=True, nargs="+", metavar="FILE", help="UTF-8 text or .jsonl, also .gz")
    add("--output", type=given_path, required=True, metavar="FILE", help="the .safetensors file; one that is there is replaced")
    add("--length", type=int, metavar="N", help="tokens a sequence")
    add("--whole", action="store_true", help="one sequence with the whole text, for test sets")
    add("--count", type=int, metavar="N", help="sequences to keep (default: all)")
    add("--seed", type=int, metavar="N", help="shuffle the sequences (default: leave them in order)")
    add("--bos", action=BooleanOptionalAction, help="BOS in front of each sequence (default: with --whole or --bos-id)")
    add("--bos-id", type=int, metavar="N", help="id of BOS (default: what the model's files name)")
    add("--jsonl-field", metavar="NAME", help='input is JSON lines with the text under NAME (.jsonl: "text")')
    options = parser.parse_args(arguments)
    if options.whole == (options.length is not None):
        parser.error("give one of --length N and --whole")
    if options.whole and (options.count is not None or options.seed is not None):
        parser.error("--count and --seed have no meaning with --whole")
    if options.length is not None and options.length < 2:
        parser.error(f"--length {options.length}: a sequence has at least 2 tokens")
    if options.count is not None and options.count < 1:
        parser.error(f"--count {options.count}: at least 1")
    if options.bos is None:
        options.bos = options.whole or options.bos_id is not None
    if options.bos_id is not None and not options.bos:
        parser.error("--bos-id has no meaning with --no-bos")
    if options.bos_id is not None and not 0 <= options.bos_id < 1 << 31:
        parser.error(f"--bos-id {options.bos_id}: expected 0 to {(1 << 31) - 1}")
    if options.output.exists() and not options.output.is_file():
        parser.error(f"--output {options.output}: exists, and is no file; choose another")
    return options


def main() -> None:
    options = parse()
    check_place(options.output)
    file = tokenizer_file(options.tokenizer)
    tokenizer = load_tokenizer(file)
    bos: int | None = None
    if options.bos:
        bos = options.bos_id if options.bos_id is not None else bos_token_id(file, tokenizer)

    wanted = None
    if options.count is not None and options.seed is None:
        wanted = options.count * options.length
    stream = token_stream(tokenizer, options.input, options.jsonl_field, wanted)
    if not len(stream):
        raise InputError(f"{', '.join(map(str, options.input))}: no text")
    input_ids = whole(stream, bos) if options.whole else cut(stream, options.length, options.count, options.seed, bos)
    write_file(options.output, save({"input_ids": np.ascontiguousarray(input_ids, dtype=np.int32)}))
    sequences, length = input_ids.shape
    print(f"tokenize: {options.output}: {sequences:,} × {length:,} of {len(stream):,} tokens", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run("tokenize", main))
