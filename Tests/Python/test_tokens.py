"""scripts/tokenize: what it writes, and how it refuses what it cannot use."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Run, one_line, run
from safetensors.numpy import load_file
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

# One token a byte: the id of a character of ASCII is its place here, so that what is expected can be read.
ALPHABET = "\n abcdefghijklmnopqrstuvwxyz"
BOS = len(ALPHABET)


def ids(text: str) -> list[int]:
    return [ALPHABET.index(character) for character in text]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A model directory with a tokenizer of one token a character."""
    spelled = {"\n": "Ċ", " ": "Ġ"}
    vocabulary = {spelled.get(character, character): index for index, character in enumerate(ALPHABET)}
    tokenizer = Tokenizer(BPE(vocab={**vocabulary, "<s>": BOS}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>"}))
    return tmp_path


def tokenize(directory: Path, *arguments: str | Path) -> Run[str]:
    output = directory / "tokens.safetensors"
    return run(
        ROOT / "scripts" / "tokenize", "--tokenizer", directory, "--output", output, *arguments, cwd=directory.parent
    )


def tokens(directory: Path, *arguments: str | Path) -> np.ndarray:
    done = tokenize(directory, *arguments)
    assert done.returncode == 0, done.stderr
    assert not list(directory.glob(".*.partial"))
    result = load_file(directory / "tokens.safetensors")
    assert list(result) == ["input_ids"]
    assert result["input_ids"].dtype == np.int32
    return result["input_ids"]


def text_file(directory: Path, content: str | bytes, name: str = "text.txt") -> Path:
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_cuts_in_order(directory: Path) -> None:
    text = text_file(directory, "abcdefghijk")
    assert tokens(directory, "--input", text, "--length", "4").tolist() == [ids("abcd"), ids("efgh")]


def test_count_keeps_the_first(directory: Path) -> None:
    text = text_file(directory, "abcdefghijk")
    assert tokens(directory, "--input", text, "--length", "4", "--count", "1").tolist() == [ids("abcd")]


def test_bos_begins_each_sequence(directory: Path) -> None:
    text = text_file(directory, "abcdefg")
    result = tokens(directory, "--input", text, "--length", "4", "--bos")
    assert result.tolist() == [[BOS, *ids("abc")], [BOS, *ids("def")]]


def test_bos_may_be_given_by_number(directory: Path) -> None:
    (directory / "tokenizer_config.json").unlink()
    text = text_file(directory, "abc")
    assert tokens(directory, "--input", text, "--whole", "--bos-id", "7").tolist() == [[7, *ids("abc")]]
    assert tokens(directory, "--input", text, "--length", "4", "--bos-id", "7").tolist() == [[7, *ids("abc")]]


@pytest.mark.parametrize("wrong", [("-1",), (str(1 << 31),), ("7", "--no-bos")])
def test_refuses_a_bos_that_cannot_be(directory: Path, wrong: tuple[str, ...]) -> None:
    done = tokenize(directory, "--input", text_file(directory, "abc"), "--length", "4", "--bos-id", *wrong)
    assert done.returncode == 64
    assert "--bos-id" in done.stderr


def test_whole_text_has_one_bos_in_front(directory: Path) -> None:
    text = text_file(directory, "abc abc")
    assert tokens(directory, "--input", text, "--whole").tolist() == [[BOS, *ids("abc abc")]]
    assert tokens(directory, "--input", text, "--whole", "--no-bos").tolist() == [ids("abc abc")]


def test_a_seed_shuffles_the_same_way_each_time(directory: Path) -> None:
    text = text_file(directory, ALPHABET[2:] * 3)
    plain = tokens(directory, "--input", text, "--length", "2")
    first = tokens(directory, "--input", text, "--length", "2", "--seed", "3")
    assert not np.array_equal(first, plain)
    assert sorted(first.tolist()) == sorted(plain.tolist())
    assert np.array_equal(first, tokens(directory, "--input", text, "--length", "2", "--seed", "3"))
    assert not np.array_equal(first, tokens(directory, "--input", text, "--length", "2", "--seed", "4"))
    some = tokens(directory, "--input", text, "--length", "2", "--seed", "3", "--count", "5")
    assert np.array_equal(some, first[:5])


def test_every_line_end_is_a_line_feed(directory: Path) -> None:
    text = text_file(directory, b"a\r\nb\rc\nd")
    assert tokens(directory, "--input", text, "--whole", "--no-bos").tolist() == [ids("a\nb\nc\nd")]


def test_json_lines_are_documents(directory: Path) -> None:
    lines = text_file(directory, '{"text": "ab\\r\\n"}\n\n{"text": "cd", "more": 1}\n', "text.jsonl")
    assert tokens(directory, "--input", lines, "--whole", "--no-bos").tolist() == [ids("ab\ncd")]
    lines = text_file(directory, '{"body": "ab"}\n', "other.json")
    result = tokens(directory, "--input", lines, "--whole", "--no-bos", "--jsonl-field", "body")
    assert result.tolist() == [ids("ab")]


def test_files_follow_one_another_and_may_be_compressed(directory: Path) -> None:
    first = text_file(directory, gzip.compress(b"ab"), "a.txt.gz")
    second = text_file(directory, "cd")
    assert tokens(directory, "--input", first, second, "--whole", "--no-bos").tolist() == [ids("abcd")]


REFUSED = {
    "not UTF-8": (b"ab\xff", "text.txt", ["--whole"], "text.txt: not UTF-8 text"),
    "not JSON": (b'{"text": "a"}\n{"text', "text.jsonl", ["--whole"], "text.jsonl:2: not a JSON object"),
    "half of a surrogate pair": (
        b'{"text": "a\\ud800"}',
        "text.jsonl",
        ["--whole"],
        "text.jsonl:1: half of a surrogate pair at character 1",
    ),
    "no such field": (b'{"text": 5}', "text.jsonl", ["--whole"], 'text.jsonl:1: no text under "text"'),
    "not gzip": (b"plain", "text.txt.gz", ["--whole"], "not a whole gzip file"),
    "half of a gzip file": (gzip.compress(b"ab" * 99)[:-9], "text.txt.gz", ["--whole"], "not a whole gzip file"),
    "damaged gzip": (
        gzip.compress(b"ab" * 99)[:10] + b"\xff" * 20,
        "text.txt.gz",
        ["--whole"],
        "not a whole gzip file",
    ),
    "empty": (b"", "text.txt", ["--whole"], "text.txt: no text"),
    "too short": (b"abc", "text.txt", ["--length", "4"], "3 tokens: 0 sequences of 4, but 1 are wanted"),
    "too few": (b"abcdef", "text.txt", ["--length", "2", "--count", "4"], "3 sequences of 2, but 4 are wanted"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(directory: Path, case: str) -> None:
    content, name, arguments, message = REFUSED[case]
    done = tokenize(directory, "--input", text_file(directory, content, name), *arguments)
    assert done.returncode == 65
    assert message in one_line(done)
    assert not list(directory.glob("*tokens.safetensors*"))


@pytest.mark.parametrize("option", ["--input", "--output", "--tokenizer"])
def test_an_empty_path_is_refused(directory: Path, option: str) -> None:
    text = text_file(directory, "abc")
    # Of an option that comes twice the last one counts.
    done = tokenize(directory, "--input", text, "--whole", option, "")
    assert done.returncode == 64
    assert f"argument {option}: expected a path, got nothing" in one_line(done)


def test_an_output_that_cannot_be_is_found_before_the_work(directory: Path) -> None:
    missing = directory / "absent.txt"
    done = tokenize(directory, "--input", missing, "--whole", "--output", directory / "none" / "tokens.safetensors")
    assert done.returncode == 74
    assert f"{directory / 'none'}: no such directory; make it first" in one_line(done)
    done = tokenize(directory, "--input", missing, "--whole", "--output", directory)
    assert done.returncode == 64
    assert f"--output {directory}: exists, and is no file" in one_line(done)


def test_help_needs_no_set_up(tmp_path: Path) -> None:
    done = run(ROOT / "scripts" / "tokenize", "--help", env={"PATH": "/usr/bin:/bin"}, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--tokenizer" in done.stdout


def test_refuses_a_missing_input(directory: Path) -> None:
    done = tokenize(directory, "--input", directory / "absent.txt", "--whole")
    assert done.returncode == 65
    assert "absent.txt: No such file" in one_line(done)


@pytest.mark.parametrize("content", [None, "not a tokenizer"])
def test_refuses_a_tokenizer(directory: Path, content: str | None) -> None:
    (directory / "tokenizer.json").unlink()
    if content:
        (directory / "tokenizer.json").write_text(content)
    done = tokenize(directory, "--input", text_file(directory, "abc"), "--whole")
    assert done.returncode == 65
    assert "tokenizer.json: " in one_line(done)


def test_refuses_to_guess_bos(directory: Path) -> None:
    (directory / "tokenizer_config.json").unlink()
    done = tokenize(directory, "--input", text_file(directory, "abc"), "--whole")
    assert done.returncode == 65
    assert "no bos_token" in one_line(done)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--length", "4", "--whole"],
        ["--length", "1"],
        ["--length", "0"],
        ["--length", "4", "--count", "0"],
        ["--whole", "--seed", "1"],
        ["--length", "many"],
    ],
)
def test_refuses_a_wrong_command_line(directory: Path, arguments: list[str]) -> None:
    done = tokenize(directory, "--input", text_file(directory, "abc"), *arguments)
    assert done.returncode == 64
    one_line(done)


def test_the_texts_of_the_golden_file(model: Path, golden: dict[str, Any], tmp_path: Path) -> None:
    for number, case in enumerate(case for case in golden["texts"] if "\r" not in case["text"]):
        text = tmp_path / f"{number}.txt"
        text.write_text(case["text"], encoding="utf-8", newline="")
    texts = [case for case in golden["texts"] if "\r" not in case["text"]]
    output = tmp_path / "tokens.safetensors"
    inputs = [tmp_path / f"{number}.txt" for number in range(len(texts))]
    done = run(ROOT / "scripts" / "tokenize", "--tokenizer", model, "--input", *inputs, "--output", output, "--whole")
    assert done.returncode == 0, done.stderr
    expected = [1] + [token for case in texts for token in case["ids"]]
    assert load_file(output)["input_ids"].tolist() == [expected]


def test_wikitext_gives_the_recorded_tokens(model: Path, shared: Path, tmp_path: Path) -> None:
    output = tmp_path / "tokens.safetensors"
    text = shared / "data" / "wikitext2-test.txt"
    done = run(ROOT / "scripts" / "tokenize", "--tokenizer", model, "--input", text, "--output", output, "--whole")
    assert done.returncode == 0, done.stderr
    recorded = load_file(shared / "data" / "wikitext2-test.safetensors")["input_ids"]
    assert np.array_equal(load_file(output)["input_ids"], recorded)
