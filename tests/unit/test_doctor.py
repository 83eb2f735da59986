"""The doctor: machines and crashes that are not here, and the machine that is."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from edge_ser.doctor import (
    Finding,
    Machine,
    Outcome,
    Runner,
    examine,
    has_problem,
    outcome,
    probes,
    read_machine,
    run_probe,
    runtime_works,
)

FINE = Outcome(0, '{"version": "9.9"}', "")
ONNX_CPU = Outcome(0, '{"version": "9.9", "available": ["CPUExecutionProvider"]}', "")
MICROPHONES = Outcome(
    0,
    '{"version": "0.5", "library": "PortAudio V19.6.0-devel, revision 1", "microphones": ['
    '{"name": "USB mic", "api": "ALSA", "channels": 2, "rate": 48000.0, "default": true}, '
    '{"name": "pulse", "api": "ALSA", "channels": 32, "rate": 44100.0, "default": false}]}',
    "",
)
SILENT = Outcome(0, '{"version": "0.5", "library": "PortAudio V19", "microphones": []}', "")
DESKTOP = Machine(
    system="Linux",
    kernel_machine="x86_64",
    bits=64,
    libc="glibc 2.36",
    python=(3, 11, 7),
    cpu="Some CPU",
    cpu_flags=frozenset({"avx", "avx2", "fma", "avx512f"}),
    board="",
    packages={"ai-edge-litert": "2.3.0", "onnxruntime": "1.31.1", "numpy": "2.4.6"},
    modules=frozenset({"ai_edge_litert", "onnxruntime", "sounddevice", "soundfile", "soxr"}),
    environment={"OMP_NUM_THREADS": "1"},
    groups=frozenset({"maker", "audio"}),
    sound_hardware=True,
    cache=Path("/home/maker/.cache/edge-ser"),
    cache_free=20_000_000_000,
)
PI_3 = replace(
    DESKTOP,
    kernel_machine="armv7l",
    bits=32,
    cpu="ARMv7 Processor rev 4 (v7l)",
    cpu_flags=frozenset({"neon", "vfpv4"}),
    board="Raspberry Pi 3 Model B Rev 1.2",
    packages={"tflite-runtime": "2.14.0", "numpy": "1.24.2"},
    modules=frozenset({"tflite_runtime", "sounddevice", "soundfile", "soxr"}),
)


def fake(outcomes: Mapping[str, Outcome] = {}) -> Runner:
    """A runner whose probes end as `outcomes` says, fine where it says nothing."""
    usual = {"onnxruntime": ONNX_CPU, "sounddevice": MICROPHONES}
    return lambda arguments: {**usual, **outcomes}.get(" ".join(arguments), FINE)


def one(findings: tuple[Finding, ...], part: str) -> Finding:
    """The only finding that says `part`."""
    (found,) = [finding for finding in findings if part in finding.what]
    return found


def test_a_healthy_desktop_has_no_problem_and_works() -> None:
    findings = examine(DESKTOP, fake())
    assert not has_problem(findings)
    assert runtime_works(findings)
    assert one(findings, "Python 3.11.7").status == "ok"
    assert one(findings, "glibc 2.36").what == "Linux, x86_64, 64-bit Python, glibc 2.36"
    assert one(findings, "LiteRT 2.3.0").what == "LiteRT 2.3.0: ran a model"
    assert one(findings, "tflite-runtime").status == "note"
    assert one(findings, "OMP_NUM_THREADS=1").status == "ok"
    assert (
        one(findings, "GB free").what == "20.0 GB free for the cache, /home/maker/.cache/edge-ser"
    )
    assert one(findings, "offers").what == "ONNX Runtime offers CPUExecutionProvider"
    assert one(findings, "USB mic").what == "USB mic (ALSA): 48000 Hz, 2 channels, default"
    assert one(findings, "pulse").what == "pulse (ALSA): 44100 Hz, 32 channels"
    assert one(findings, "PortAudio").what == "sounddevice 0.5, PortAudio V19.6.0-devel"


def test_a_32_bit_pi_is_told_plainly_and_still_works() -> None:
    findings = examine(PI_3, fake())
    found = one(findings, "32-bit system")
    assert (found.status, found.what) == ("note", "armv7l, a 32-bit system")
    assert found.mend == (
        "a 64-bit OS is needed for LiteRT and ONNX Runtime; "
        "here use tflite-runtime with numpy < 2: pip install tflite-runtime 'numpy<2'"
    )
    assert one(findings, "Raspberry Pi 3").status == "ok"
    assert one(findings, "neon").what.endswith("neon, vfpv4 present")
    assert one(findings, "ONNX Runtime").what == "ONNX Runtime: not installed (no 32-bit wheels)"
    assert runtime_works(findings)
    assert not has_problem(findings)


def test_a_32_bit_userland_on_a_64_bit_kernel_is_named() -> None:
    findings = examine(replace(PI_3, kernel_machine="aarch64"), fake())
    found = one(findings, "userland")
    assert found.what == "a 32-bit userland on a 64-bit kernel (aarch64)"
    assert "a 64-bit OS is needed" in found.mend


def test_a_new_python_on_32_bits_has_no_runtime_at_all() -> None:
    machine = replace(PI_3, python=(3, 13, 0), modules=frozenset(), packages={})
    findings = examine(machine, fake())
    assert "stops at Python 3.11" in one(findings, "32-bit system").mend
    assert "numpy<2" in one(findings, "tflite-runtime: not installed").mend
    assert one(findings, "no runtime works").mend.startswith("install a 64-bit OS")
    assert "build-essential" in one(findings, "soxr, which resamples: not installed").mend
    assert not runtime_works(findings)


def test_an_old_python_is_a_problem() -> None:
    found = one(examine(replace(DESKTOP, python=(3, 9, 2)), fake()), "Python 3.9.2")
    assert found.status == "problem"
    assert "Debian 12" in found.mend


@pytest.mark.parametrize(
    ("ended", "what", "mend"),
    [
        (Outcome(-signal.SIGILL, "", ""), "crashed with SIGILL", "that this CPU lacks"),
        (Outcome(-signal.SIGKILL, "", ""), "crashed with SIGKILL", "out of memory"),
        (Outcome(-signal.SIGSEGV, "", ""), "crashed with SIGSEGV", "--force-reinstall"),
        (Outcome(-200, "", ""), "crashed with signal 200", "--force-reinstall"),
        (Outcome(None, "", ""), "did not end within", "--force-reinstall"),
        (Outcome(0, "no JSON", ""), "ended with status 0 and no answer", "--force-reinstall"),
        (Outcome(0, "[1]", ""), "no answer", "--force-reinstall"),
        (
            Outcome(1, "", "ImportError: /lib/libc.so.6: version `GLIBC_2.34' not found"),
            "GLIBC_2.34' not found",
            "Debian 12",
        ),
        (
            Outcome(1, "", "ImportError: libgomp.so.1: cannot allocate memory in static TLS block"),
            "static TLS block",
            "LD_PRELOAD",
        ),
        (
            Outcome(1, "", "ModuleNotFoundError: No module named 'flatbuffers'\n\n"),
            "No module named 'flatbuffers'",
            "pip install --force-reinstall ai-edge-litert",
        ),
    ],
)
def test_a_runtime_that_fails_is_a_line_with_its_mend(ended: Outcome, what: str, mend: str) -> None:
    findings = examine(DESKTOP, fake({"ai_edge_litert": ended}))
    found = one(findings, "LiteRT 2.3.0")
    assert found.status == "problem"
    assert what in found.what
    assert mend in found.mend
    assert "{" not in found.mend
    assert runtime_works(findings)  # ONNX Runtime does


def test_every_runtime_crashing_leaves_none() -> None:
    crash = Outcome(-signal.SIGILL, "", "")
    findings = examine(DESKTOP, fake({"ai_edge_litert": crash, "onnxruntime": crash}))
    assert not runtime_works(findings)
    assert one(findings, "no runtime works").mend == "pip install ai-edge-litert onnxruntime"
    assert "pip uninstall onnxruntime" in one(findings, "ONNX Runtime 1.31.1").mend


def test_tflite_runtime_with_numpy_2_names_numpy_however_it_dies() -> None:
    machine = replace(
        DESKTOP,
        modules=DESKTOP.modules | {"tflite_runtime"},
        packages={**DESKTOP.packages, "tflite-runtime": "2.14.0"},
    )
    for ended in (
        Outcome(1, "", "AttributeError: _ARRAY_API not found\nSystemError: null argument"),
        Outcome(-signal.SIGSEGV, "", ""),
    ):
        found = one(examine(machine, fake({"tflite_runtime": ended})), "tflite-runtime 2.14.0")
        assert (found.status, found.mend.partition(",")[0]) == ("problem", "pip install 'numpy<2'")


def test_both_onnx_runtimes_are_a_problem_with_the_one_line_mend() -> None:
    packages = {**DESKTOP.packages, "onnxruntime-gpu": "1.31.1"}
    found = one(examine(replace(DESKTOP, packages=packages), fake()), "both installed")
    assert found.status == "problem"
    assert found.mend.startswith(
        "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"
    )


def test_an_installed_package_without_its_files_is_a_problem() -> None:
    machine = replace(DESKTOP, modules=DESKTOP.modules - {"onnxruntime"})
    found = one(examine(machine, fake()), "onnxruntime 1.31.1")
    assert (found.status, found.mend) == ("problem", "pip install --force-reinstall onnxruntime")


def test_a_module_without_its_package_shows_its_own_version() -> None:
    machine = replace(DESKTOP, modules=DESKTOP.modules | {"tensorflow"})
    assert one(examine(machine, fake()), "TensorFlow").what == "TensorFlow 9.9: ran a model"


@pytest.mark.parametrize(
    ("ended", "status", "what"),
    [
        (Outcome(0, '{"used": ["CUDAExecutionProvider"]}', ""), "ok", "ran a model"),
        (Outcome(0, '{"used": ["CPUExecutionProvider"]}', ""), "problem", "used the CPU instead"),
        (
            Outcome(0, '{"used": []}', "[E] libcudnn.so.9: cannot open shared object file"),
            "problem",
            "libcudnn.so.9 is missing",
        ),
        (Outcome(-signal.SIGSEGV, "", ""), "problem", "crashed with SIGSEGV"),
    ],
)
def test_a_provider_is_tried_and_not_believed(ended: Outcome, status: str, what: str) -> None:
    both = '{"available": ["TensorrtExecutionProvider", "CUDAExecutionProvider"]}'
    outcomes = {
        "onnxruntime": Outcome(0, both, ""),
        "onnxruntime CUDAExecutionProvider": ended,
        "onnxruntime TensorrtExecutionProvider": Outcome(0, '{"used": []}', ""),
    }
    findings = examine(DESKTOP, fake(outcomes))
    (found,) = [f for f in findings if f.what.startswith("CUDAExecutionProvider")]
    assert found.status == status
    assert what in found.what
    (tensorrt,) = [f for f in findings if f.what.startswith("TensorrtExecutionProvider")]
    assert tensorrt.status == "note"


@pytest.mark.parametrize(
    ("module", "error", "mend"),
    [
        (
            "sounddevice",
            "OSError: PortAudio library not found",
            "sudo apt-get install libportaudio2",
        ),
        ("soundfile", "OSError: sndfile library not found", "sudo apt-get install libsndfile1"),
        ("soxr", "ImportError: libsoxr.so.0: cannot open shared", "sudo apt-get install libsoxr0"),
        ("soxr", "ImportError: odd", "pip install --force-reinstall --no-cache-dir soxr"),
    ],
)
def test_a_missing_audio_library_names_its_package(module: str, error: str, mend: str) -> None:
    findings = examine(DESKTOP, fake({module: Outcome(1, "", error)}))
    found = one(findings, error)
    assert (found.status, found.mend) == ("problem", mend)


def test_an_audio_package_that_is_not_installed_is_named() -> None:
    machine = replace(DESKTOP, modules=DESKTOP.modules - {"soundfile"})
    found = one(examine(machine, fake()), "soundfile")
    assert (found.status, found.mend) == ("problem", "pip install soundfile")


def test_no_microphone_is_a_note_and_the_audio_group_is_told() -> None:
    none = fake({"sounddevice": SILENT})
    found = one(examine(DESKTOP, none), "no microphone")
    assert (found.status, found.mend) == ("note", "listen needs one: plug it in; files need none")
    outsider = replace(DESKTOP, groups=frozenset({"maker"}))
    assert "usermod -aG audio" in one(examine(outsider, none), "no microphone").mend
    no_hardware = replace(outsider, sound_hardware=False)
    assert "plug it in" in one(examine(no_hardware, none), "no microphone").mend


def test_a_sound_server_without_a_source_is_a_note() -> None:
    listed = {"name": "default", "api": "ALSA", "channels": 32, "rate": 44100.0, "default": True}
    answer = {"version": "0.5", "library": "PortAudio V19", "microphones": [listed]}
    for opens, status in ((True, "ok"), (False, "note")):
        listed["opens"] = opens
        found = one(
            examine(DESKTOP, fake({"sounddevice": Outcome(0, json.dumps(answer), "")})), "def"
        )
        assert found.status == status
    assert "pactl set-default-source" in found.mend


def test_what_portaudio_refuses_does_not_open() -> None:
    class Refusing:
        PortAudioError = RuntimeError

        def check_input_settings(self, **settings: object) -> None:
            if settings["device"]:
                raise RuntimeError("Unanticipated host error")

    found = [
        probes._opens(Refusing(), {"index": index, "default_samplerate": 44100.0})
        for index in (0, 1)
    ]
    assert found == [True, False]


@pytest.mark.parametrize(("free", "status"), [(10**8, "problem"), (10**9, "note"), (10**10, "ok")])
def test_free_disk(free: int, status: str) -> None:
    assert one(examine(replace(DESKTOP, cache_free=free), fake()), "GB free").status == status


def test_cpu_features_of_an_old_x86_and_of_a_pi_4() -> None:
    old = replace(DESKTOP, cpu_flags=frozenset({"sse2"}))
    found = one(examine(old, fake()), "absent")
    assert found.what == "Some CPU: none present, avx, avx2, fma, avx512f absent"
    assert (found.status, "SIGILL" in found.mend) == ("note", True)
    pi_4 = replace(DESKTOP, kernel_machine="aarch64", cpu="", cpu_flags=frozenset({"asimd", "fp"}))
    found = one(examine(pi_4, fake()), "asimd")
    assert (found.status, found.what) == ("ok", "CPU: asimd present, lse, asimddp absent")
    unknown = replace(DESKTOP, cpu_flags=frozenset())
    assert not [f for f in examine(unknown, fake()) if "present" in f.what]


def test_unset_blas_threads_are_a_note() -> None:
    found = one(examine(replace(DESKTOP, environment={}), fake()), "BLAS")
    assert (found.status, "OMP_NUM_THREADS=1" in found.mend) == ("note", True)


def test_facts_are_read_from_proc_and_dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "proc" / "device-tree").mkdir(parents=True)
    (tmp_path / "dev" / "snd").mkdir(parents=True)
    (tmp_path / "proc" / "cpuinfo").write_text(
        "processor\t: 0\nFeatures\t: fp asimd crc32\n\nModel\t\t: Raspberry Pi 4\n"
    )
    monkeypatch.setenv("EDGE_SER_RUNS", str(tmp_path / "not" / "there"))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    machine = read_machine(tmp_path)
    assert machine.board == "Raspberry Pi 4"
    assert machine.cpu_flags == {"fp", "asimd", "crc32"}
    assert machine.sound_hardware
    assert machine.environment["OMP_NUM_THREADS"] == "3"
    assert machine.cache == tmp_path / "not" / "there"
    assert machine.cache_free > 0
    (tmp_path / "proc" / "device-tree" / "model").write_bytes(b"Raspberry Pi 5 Rev 1.0\0")
    assert read_machine(tmp_path).board == "Raspberry Pi 5 Rev 1.0"


def test_facts_where_there_is_no_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grp", None)  # as on Windows
    machine = read_machine(tmp_path)
    assert (machine.cpu, machine.cpu_flags, machine.board) == ("", frozenset(), "")
    assert not machine.sound_hardware
    assert machine.groups == frozenset()


def test_this_machine_runs_a_model_in_processes_of_their_own() -> None:
    machine = read_machine()
    assert machine.python == sys.version_info[:3]
    assert machine.packages["numpy"]
    findings = examine(machine)
    assert runtime_works(findings)
    assert one(findings, "libsndfile").status == "ok"
    assert all("\n" not in finding.what + finding.mend for finding in findings)


def _stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Let the runner start `script` where it starts the probes."""
    (folder / "probes.py").write_text(script)
    monkeypatch.setattr(outcome, "__file__", str(folder / "outcome.py"))


def test_a_real_crash_is_an_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(monkeypatch, tmp_path, "import os; os.kill(os.getpid(), 4)")
    ended = run_probe(("anything",))
    assert (ended.signal, ended.answer) == ("SIGILL", None)


def test_a_probe_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(monkeypatch, tmp_path, "import time; time.sleep(600)")
    assert run_probe(("anything",), timeout=0.2) == Outcome(None, "", "")


def test_a_probe_does_not_import_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "soxr.py").write_text("raise SystemExit(9)")
    monkeypatch.delenv("PYTHONPATH", raising=False)  # which may be relative
    monkeypatch.chdir(tmp_path)
    answer = run_probe(("soxr",)).answer
    assert answer is not None
    assert answer["version"]


@pytest.mark.parametrize("name", ["ai_edge_litert", "onnxruntime", "soundfile", "soxr"])
def test_probes_answer_with_a_version(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    probes.main([name])
    answer = Outcome(0, capsys.readouterr().out, "").answer
    assert answer is not None
    assert answer["version"]


def test_a_wrong_product_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    monkeypatch.setattr(probes, "_vector", lambda: np.ones((1, 4), np.float32))
    with pytest.raises(ArithmeticError, match=r"2 x \[1, 2, 3, 4\] came out as \[\[2\.0, 2\.0"):
        probes.main(["onnxruntime"])


def test_reasons_are_one_short_printable_line() -> None:
    ended = Outcome(1, "", "Traceback\n\x1b[31mOSError: " + "x" * 999 + "\n\n")
    assert len(ended.reason) == 240
    assert ended.reason.isprintable()
    assert os.linesep not in ended.reason
