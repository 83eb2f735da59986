"""Expansion of files, folders and patterns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_ser.cli.paths import recordings
from edge_ser.errors import DataError


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """b/2.WAV, b/1.flac, a.wav, notes.txt, .hidden.wav, .git/x.wav, empty/"""
    monkeypatch.chdir(tmp_path)
    for name in ("b/2.WAV", "b/1.flac", "a.wav", "notes.txt", ".hidden.wav", ".git/x.wav"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    Path("empty").mkdir()
    return tmp_path


@pytest.mark.usefixtures("tree")
class TestRecordings:
    def test_folders_are_searched_sorted_for_known_suffixes(self) -> None:
        assert recordings(["b", "a.wav"]).paths == ("b/1.flac", "b/2.WAV", "a.wav")
        assert recordings(["."]).paths == ("a.wav", "b/1.flac", "b/2.WAV")

    def test_a_named_file_may_be_called_anything(self) -> None:
        assert recordings(["notes.txt", ".hidden.wav"]).paths == ("notes.txt", ".hidden.wav")

    def test_patterns_are_expanded(self) -> None:
        assert recordings(["*.wav"]).paths == ("a.wav",)
        assert recordings(["**/*.flac"]).paths == ("b/1.flac",)

    def test_two_stars_follow_no_links_to_folders(self) -> None:
        for name in ("b/here", "b/there", "b/again"):
            os.symlink(".", name)  # followed, they would give 3 ** 40 paths
        assert recordings(["**/*.flac"]).paths == ("b/1.flac",)
        assert recordings([os.path.abspath("**/1.*")]).paths == (os.path.abspath("b/1.flac"),)
        assert recordings(["b/**"]).paths == ("b/1.flac", "b/2.WAV")
        assert recordings(["[b]/**/**/*.WAV"]).paths == ("b/2.WAV",)

    def test_a_pattern_without_a_match_that_stands_twice_fails_once(self) -> None:
        assert len(recordings(["*.mp3", "*.mp3"])) == 1

    def test_a_pattern_may_meet_folders(self) -> None:
        assert recordings(["?"]).paths == ("b/1.flac", "b/2.WAV")

    def test_a_file_whose_name_looks_like_a_pattern_is_itself(self) -> None:
        Path("take[1].wav").touch()
        assert recordings(["take[1].wav"]).paths == ("take[1].wav",)

    def test_twice_is_once(self) -> None:
        assert recordings(["a.wav", "a.wav", "-", "-"]).paths == ("a.wav", "-")

    def test_a_missing_file_and_a_dangling_link_are_left_for_the_reader(self) -> None:
        os.symlink("gone.wav", "link.wav")
        assert recordings(["gone.wav", "link.wav"]).paths == ("gone.wav", "link.wav")

    def test_a_folder_without_audio_says_what_was_looked_for(self) -> None:
        found = recordings(["empty", "a.wav"])
        assert found.paths == ("a.wav",)
        [(name, error)] = found.failures
        assert name == "empty"
        assert str(error).startswith("empty: no audio in this folder: looked for names ending in ")
        assert error.exit_code == 5

    def test_a_pattern_without_a_match_says_so(self) -> None:
        [(name, error)] = recordings(["*.mp3"]).failures
        assert str(error).startswith("*.mp3: matches no file")
        assert name == "*.mp3"

    def test_a_folder_that_cannot_be_listed_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refusing(folder: Path) -> None:
            raise DataError(f"{folder}: Permission denied")

        monkeypatch.setattr("edge_ser.cli.paths.audio_files", refusing)
        found = recordings(["b", "a.wav"])
        assert found.paths == ("a.wav",)
        assert str(found.failures[0][1]) == "b: Permission denied"
        assert found.failures[0][1].exit_code == 5
        assert len(found) == 2
