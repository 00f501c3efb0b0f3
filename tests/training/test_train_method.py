"""The service: a recipe in, a checkpoint out; what is refused before anything is done."""

import errno
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from PIL import Image
from safetensors.torch import load_file
from training_runs import Silent, make_pictures, write_recipe, write_unpaired_recipe

from upscale_cli.errors import ResourceError, TrainingStateError, UsageError, WeightsError
from upscale_cli.services.train_method import TrainedReport, train_from_recipe
from upscale_cli.weights.checkpoint import read_state_dict


def _train(recipe: Path, **options: object) -> TrainedReport:
    return train_from_recipe(recipe, **{"device": "cpu", "watch": Silent()} | options)  # type: ignore[arg-type]


def test_a_recipe_becomes_a_checkpoint_that_describes_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    report = _train(write_recipe(tmp_path))
    folder = Path("runs/tiny")
    assert report.outcome is not None
    assert report.outcome.exported == folder / "tiny.safetensors"
    assert report.outcome.finished
    assert set(report.outcome.validation) == {"psnr", "ssim"}
    state, metadata = read_state_dict(report.outcome.exported)
    assert sum(tensor.numel() for tensor in state.values()) == report.plan.parameters["G_SR"]
    assert (metadata["method"], metadata["recipe"], metadata["steps"]) == ("srrescycgan", "tiny", "6")
    expected = {
        "features": 4,
        "blocks": 1,
        "context_blocks": 0,
        "noise_estimate": "upsampled",
        "decoder_padding": "zeros",
    }
    assert json.loads(metadata["options"]) == expected
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 6


def test_the_recipe_as_run_lies_in_the_folder_and_resumes_it(tmp_path: Path):
    folder = tmp_path / "run"
    report = _train(write_recipe(tmp_path), output=folder, overrides=["max_steps=3", "optimiser.lr=2e-4"])
    written = tomllib.loads(report.plan.recipe.read_text())
    assert report.plan.recipe == folder / "recipe.toml"
    assert written["max_steps"] == 3
    assert written["optimiser"]["lr"] == 2e-4
    assert written["data"]["train"] == str(tmp_path / "pictures")
    watch = Silent()
    again = _train(folder / "recipe.toml", output=folder, resume=True, watch=watch)
    assert again.outcome is not None
    assert again.outcome.step == 3
    assert [text for text in watch.messages if not text.startswith("pictures: ")] == []


def test_paths_of_overrides_are_relative_to_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    here = tmp_path / "here"
    make_pictures(here / "mine", 4)
    monkeypatch.chdir(here)
    (tmp_path / "recipes").mkdir()
    recipe = write_recipe(tmp_path / "recipes")
    report = _train(recipe, overrides=["data.train=mine", "data.holdout=[]", "max_steps=1"])
    assert tomllib.loads(report.plan.recipe.read_text())["data"]["train"] == str(here / "mine")


def test_all_faults_of_a_recipe_come_in_one_error(tmp_path: Path):
    recipe = write_recipe(tmp_path, seed=-1, bach=3)
    overrides = ["data.train=nowhere", "optimiser.lr=0", "degradation.noise_sigma=[9,3]", "generator.featurs=4"]
    with pytest.raises(UsageError) as caught:
        _train(recipe, output=tmp_path / "run", overrides=overrides)
    for words in (
        "'seed' = -1",
        "unknown key 'bach', did you mean 'batch'?",
        f"{Path('nowhere').resolve()}",
        "no such folder",
        "'optimiser.lr' = 0",
        "the lower bound comes first",
        "unknown key 'generator.featurs', did you mean 'generator.features'?",
    ):
        assert words in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "overrides, words",
    [(["method=srrescycgam"], "did you mean 'srrescycgan'?"), (["method=3"], "'method' = 3 should be text")],
)
def test_an_unknown_method_is_a_sentence(tmp_path: Path, overrides: list[str], words: str):
    with pytest.raises(UsageError) as caught:
        _train(write_recipe(tmp_path), overrides=overrides)
    assert words in str(caught.value)


def test_a_recipe_that_cannot_be_resumed_without_its_overrides_names_the_runs_own(tmp_path: Path):
    recipe = write_recipe(tmp_path)
    folder = tmp_path / "run"
    _train(recipe, output=folder, max_seconds=0)
    recipe.write_text(recipe.read_text().replace('"pictures"', '"nowhere"'))
    with pytest.raises(UsageError, match="there is no such folder") as refused:
        _train(recipe, output=folder, resume=True)
    assert refused.value.hint.endswith(f"or go on with {folder / 'recipe.toml'}")
    with pytest.raises(UsageError, match="there is no such folder") as refused:
        _train(recipe, output=tmp_path / "other", resume=True)
    assert "go on with" not in refused.value.hint


def test_nothing_to_resume_is_told_at_once_and_leaves_no_file(tmp_path: Path):
    folder, watch = make_pictures(tmp_path / "photos"), Silent()
    before = sorted(folder.iterdir())
    for place in (folder, tmp_path / "none"):
        with pytest.raises(TrainingStateError, match="nothing to resume"):
            _train(write_recipe(tmp_path), output=place, resume=True, watch=watch)
    assert watch.messages == []
    assert sorted(folder.iterdir()) == before
    assert not (tmp_path / "none").exists()


def test_memory_that_runs_out_is_a_sentence(tmp_path: Path):
    with pytest.raises(ResourceError, match="out of memory"):
        _train(write_recipe(tmp_path), output=tmp_path / "run", overrides=["generator.features=10000000000000"])


def test_a_seed_that_no_generator_takes_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="'seed' = 9223372036854775808 should be less than"):
        _train(write_recipe(tmp_path, seed=2**63))
    _train(write_recipe(tmp_path, seed=2**63 - 1), output=tmp_path / "run", dry_run=True)


def test_a_folder_in_use_is_refused_and_left_as_it_was(tmp_path: Path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        _train(write_recipe(tmp_path), output=folder)
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
    with pytest.raises(UsageError, match="is a file"):
        _train(write_recipe(tmp_path), output=folder / "thesis.txt")


def test_two_trainings_never_share_a_folder(tmp_path: Path):
    folder = tmp_path / "run"
    recipe = write_recipe(tmp_path, max_steps=1)
    _train(recipe, output=folder)
    with FileLock(folder / ".lock"), pytest.raises(UsageError, match="another training is running"):
        _train(recipe, output=folder, resume=True)
    _train(recipe, output=folder, resume=True)


class _Overtaken(Silent):
    """While it reads its pictures another training begins and ends in the same folder."""

    def __init__(self, recipe: Path, folder: Path) -> None:
        super().__init__()
        self._given = recipe, folder

    def message(self, text: str) -> None:
        _train(self._given[0], output=self._given[1])


def test_a_run_that_began_and_ended_meanwhile_is_not_written_over(tmp_path: Path):
    recipe, folder = write_recipe(tmp_path, max_steps=1), tmp_path / "run"
    with pytest.raises(UsageError, match="is not empty"):
        _train(recipe, output=folder, overrides=["max_steps=2"], watch=_Overtaken(recipe, folder))
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 1
    assert tomllib.loads((folder / "recipe.toml").read_text())["max_steps"] == 1


@pytest.mark.parametrize(
    "overrides, words",
    [
        (["generator.blocks=2"], "the checkpoint is of another network"),
        (["generator.features=8"], r"is .* there and .* in this recipe"),
    ],
)
def test_a_run_of_another_network_is_not_resumed(tmp_path: Path, overrides: list[str], words: str):
    recipe, folder = write_recipe(tmp_path, max_steps=1), tmp_path / "run"
    _train(recipe, output=folder)
    before = (folder / "recipe.toml").read_bytes()
    with pytest.raises(TrainingStateError, match=words):
        _train(recipe, output=folder, overrides=overrides, resume=True, force_config=True)
    assert (folder / "recipe.toml").read_bytes() == before
    _train(folder / "recipe.toml", output=folder, resume=True)


@pytest.mark.parametrize(
    "overrides, said",
    [
        (["optimiser.lr=5e-5", "seed=3"], "seed 0 -> 3, optimiser.lr 0.0001 -> 5e-05"),
        (["data.plain_share=0.5"], "data.plain_share 0.0 -> 0.5"),
        (["generator.blocks=2", "data.workers=0"], "generator.blocks 1 -> 2"),
    ],
)
def test_a_changed_recipe_is_resumed_only_when_forced(tmp_path: Path, overrides: list[str], said: str):
    recipe, folder = write_recipe(tmp_path, max_steps=1), tmp_path / "run"
    _train(recipe, output=folder)
    before = sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir())
    with pytest.raises(TrainingStateError) as caught:
        _train(recipe, output=folder, overrides=overrides, resume=True)
    assert caught.value.message == f"{folder}: its run had other settings: {said}"
    assert "--force-config" in caught.value.hint
    assert sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir()) == before


def test_a_forced_change_is_said_and_becomes_the_run_s_recipe(tmp_path: Path):
    recipe, folder, watch = write_recipe(tmp_path), tmp_path / "run", Silent()
    _train(recipe, output=folder)
    overrides = ["max_steps=8", "optimiser.lr=5e-5"]
    _train(recipe, output=folder, overrides=overrides, resume=True, force_config=True, watch=watch)
    assert watch.messages[0] == "resumed with other settings: max_steps 6 -> 8, optimiser.lr 0.0001 -> 5e-05"
    assert watch.began == (6, 8, 2)
    _train(recipe, output=folder, overrides=overrides, resume=True)


def test_a_run_whose_recipe_is_gone_is_said_to_be_unknown(tmp_path: Path):
    recipe, folder, watch = write_recipe(tmp_path, max_steps=1), tmp_path / "run", Silent()
    (_train(recipe, output=folder).plan.recipe).unlink()
    _train(recipe, output=folder, overrides=["optimiser.lr=5e-5"], resume=True, watch=watch)
    assert watch.messages[0].startswith(f"{folder}: there is no recipe.toml")


def test_another_name_is_another_run_forced_or_not(tmp_path: Path):
    recipe, folder = write_recipe(tmp_path, max_steps=1), tmp_path / "run"
    _train(recipe, output=folder)
    for force in (False, True):
        with pytest.raises(TrainingStateError, match="name = 'tiny', this recipe has 'other'"):
            _train(recipe, output=folder, overrides=["name=other"], resume=True, force_config=force)


def test_what_changes_no_result_may_change_without_a_word(tmp_path: Path):
    recipe, folder, watch = write_recipe(tmp_path, max_steps=2), tmp_path / "run", Silent()
    _train(recipe, output=folder)
    _train(recipe, output=folder, overrides=["data.workers=0", "save_every=1"], resume=True, watch=watch)
    assert not any("other settings" in text for text in watch.messages)


def test_pictures_that_have_moved_are_said_and_no_more(tmp_path: Path):
    recipe, folder, watch = write_recipe(tmp_path, max_steps=2), tmp_path / "run", Silent()
    _train(recipe, output=folder)
    moved = (tmp_path / "pictures").rename(tmp_path / "elsewhere")
    _train(recipe, output=folder, overrides=[f"data.train={moved}"], resume=True, watch=watch)
    assert watch.messages[0] == f"resumed with other settings: data.train {tmp_path / 'pictures'} -> {moved}"


def test_pictures_that_were_not_there_before_make_another_run(tmp_path: Path):
    recipe, folder = write_recipe(tmp_path, max_steps=2), tmp_path / "run"
    _train(recipe, output=folder)
    small = tmp_path / "small"
    small.mkdir()
    for path in (tmp_path / "pictures").iterdir():
        with Image.open(path) as image:
            image.resize((image.width // 4, image.height // 4)).save(small / path.name)
    with pytest.raises(TrainingStateError, match=r"its run had other settings: data\.lr nothing -> "):
        _train(recipe, output=folder, overrides=[f"data.lr={small}"], resume=True)
    watch = Silent()
    _train(recipe, output=folder, overrides=[f"data.validation={tmp_path / 'pictures'}"], resume=True, watch=watch)
    assert watch.messages[0].startswith("resumed with other settings: data.validation nothing -> ")


def test_a_slim_state_of_another_run_is_left_alone(tmp_path: Path):
    recipe, slim = write_recipe(tmp_path, max_steps=1), tmp_path / "slim"
    _train(recipe, output=tmp_path / "one", slim_state=slim)
    before = {path.name: path.read_bytes() for path in slim.iterdir()}
    with pytest.raises(UsageError, match="slim: holds a run's slim state already"):
        _train(recipe, output=tmp_path / "two", slim_state=slim)
    assert {path.name: path.read_bytes() for path in slim.iterdir()} == before
    assert not (tmp_path / "two").exists()


def test_what_a_killed_run_left_half_written_is_swept(tmp_path: Path):
    recipe, folder, slim = write_recipe(tmp_path, max_steps=1), tmp_path / "run", tmp_path / "slim"
    _train(recipe, output=folder, slim_state=slim)
    (folder / "translations/step-00000001").mkdir(parents=True)
    # As imaging.atomic and weights.atomic name theirs, of a process that is no more.
    ours = next(iter(_temporaries(folder / "a.png")))
    left = [folder / "best.safetensors~1-0badf00d.tmp", slim / ours, folder / "translations/step-00000001" / ours]
    for path in left:
        path.touch()
    _train(recipe, output=folder, slim_state=slim, resume=True)
    assert not any(path.exists() for path in left)


def _temporaries(path: Path) -> list[str]:
    """The names that another process, which has ended, gave to half of `path`."""
    script = f"""
import os
from pathlib import Path
from upscale_cli.imaging.atomic import whole_file
with whole_file(Path({str(path)!r}), 1):
    print(*(name for name in os.listdir({str(path.parent)!r}) if name.startswith(".upscale-")), flush=True)
"""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()


def test_a_folder_that_can_no_longer_be_written_is_a_resource_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refusing(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("upscale_cli.weights.atomic.publish", refusing)
    with pytest.raises(ResourceError) as caught:
        _train(write_recipe(tmp_path, max_steps=1), output=tmp_path / "run")
    assert "cannot be written: Operation not permitted" in caught.value.message
    assert "--resume" in caught.value.hint


@pytest.mark.parametrize("schedule, free", [("milestones", True), ("cosine", False), ("linear", False)])
def test_more_steps_need_no_force_where_the_rate_does_not_depend_on_them(tmp_path: Path, schedule: str, free: bool):
    recipe, folder, watch = write_recipe(tmp_path), tmp_path / "run", Silent()
    chosen = [f"optimiser.schedule={schedule}"]
    _train(recipe, output=folder, overrides=[*chosen, "max_steps=2"])
    more = {"output": folder, "overrides": [*chosen, "max_steps=4"], "resume": True}
    if not free:
        with pytest.raises(TrainingStateError, match="max_steps 2 -> 4"):
            _train(recipe, **more)
        return
    _train(recipe, **more, watch=watch)
    assert watch.messages[0] == "resumed with other settings: max_steps 2 -> 4"


@pytest.mark.parametrize("name, words", [("best", "best validation"), ("x" * 101, "100 letters at most")])
def test_a_name_that_would_cost_the_checkpoint_is_refused(tmp_path: Path, name: str, words: str):
    with pytest.raises(UsageError, match=words):
        _train(write_recipe(tmp_path), output=tmp_path / "run", overrides=[f"name={name}"])
    assert not (tmp_path / "run").exists()


def test_a_name_may_be_as_long_as_that(tmp_path: Path):
    report = _train(write_recipe(tmp_path), output=tmp_path / "run", overrides=["max_steps=1", f"name={'x' * 100}"])
    assert report.outcome is not None
    assert report.outcome.exported.exists()


def test_pictures_without_partners_are_refused_where_nothing_learns_from_them(tmp_path: Path):
    cycle = write_unpaired_recipe(tmp_path)
    for overrides in ([], ["course=synthetic"], ["course=paired"]):
        with pytest.raises(UsageError, match=r"data\.source: .* are data\.lr in a cyclesr recipe"):
            _train(cycle, overrides=[*overrides, f"data.source={tmp_path / 'real'}"], dry_run=True)
    rwsr = ["method=rwsr", "generator.reduction=2", "generator.groups=1", f"data.source={tmp_path / 'real'}"]
    with pytest.raises(UsageError, match=r"data\.source: rwsr does not learn from photographs"):
        _train(write_recipe(tmp_path), overrides=rwsr, dry_run=True)


def test_a_folder_whose_name_is_no_text_is_refused_before_anything_is_read(tmp_path: Path):
    folder, watch = make_pictures(tmp_path / "n\udcffr"), Silent()
    for dry_run in (False, True):
        with pytest.raises(UsageError, match=r"'data\.train' = '.*n\\udcffr': is not text in UTF-8"):
            _train(write_recipe(tmp_path), overrides=[f"data.train={folder}"], dry_run=dry_run, watch=watch)
    assert watch.messages == []


def test_a_recipe_of_a_newer_program_is_one_sentence(tmp_path: Path):
    recipe = write_recipe(tmp_path, version=2, unheard_of=3)
    with pytest.raises(UsageError) as caught:
        _train(recipe)
    assert caught.value.message == f"{recipe}: is a recipe of version 2, this program knows version 1"
    assert caught.value.hint == "it needs a newer upscale-cli"


@pytest.mark.parametrize("place", ["thesis.txt", "thesis.txt/below", "x" * 300])
def test_a_folder_that_cannot_be_is_refused_before_pictures_are_read(tmp_path: Path, place: str):
    (tmp_path / "thesis.txt").write_text("mine")
    watch = Silent()
    for resume in (False, True):
        with pytest.raises(UsageError, match=r"is a file|cannot be used"):
            _train(write_recipe(tmp_path), output=tmp_path / place, resume=resume, watch=watch)
    assert watch.messages == []


def test_a_dry_run_writes_nothing(tmp_path: Path):
    report = _train(write_recipe(tmp_path), output=tmp_path / "run", dry_run=True)
    assert report.outcome is None
    assert (report.plan.name, report.plan.max_steps, report.plan.device) == ("tiny", 6, "cpu")
    assert report.plan.precision == "fp32"
    assert report.plan.parameters["G_SR"] > 100
    assert not (tmp_path / "run").exists()


def test_time_that_is_up_saves_and_stops(tmp_path: Path):
    report = _train(write_recipe(tmp_path, max_steps=100_000), output=tmp_path / "run", max_seconds=0)
    assert report.outcome is not None
    assert not report.outcome.finished
    assert report.outcome.step == 1
    assert report.outcome.exported.exists()


def test_devices_that_cannot_train_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="device"):
        _train(write_recipe(tmp_path), device="mps")
    with pytest.raises(UsageError, match="unknown device 'gpu'"):
        _train(write_recipe(tmp_path), device="gpu")


def test_a_run_starts_from_a_model(tmp_path: Path):
    first = _train(write_recipe(tmp_path), output=tmp_path / "first", overrides=["max_steps=2"])
    assert first.outcome is not None
    start = f"start={first.outcome.exported}"
    watch = Silent(stop_at=1)
    second = _train(
        write_recipe(tmp_path), output=tmp_path / "second", overrides=[start, "optimiser.lr=1e-9"], watch=watch
    )
    assert second.outcome is not None
    before, after = (load_file(outcome.exported) for outcome in (first.outcome, second.outcome))
    assert all(torch.allclose(before[name], after[name], atol=1e-7) for name in before)


def test_a_start_may_lack_what_begins_as_if_it_were_not_there(tmp_path: Path):
    first = _train(write_recipe(tmp_path), output=tmp_path / "first", overrides=["max_steps=2"]).outcome
    assert first is not None
    overrides = [f"start={first.exported}", "generator.context_blocks=2", "max_steps=1", "ema=0", "optimiser.lr=1e-30"]
    second = _train(write_recipe(tmp_path), output=tmp_path / "second", overrides=overrides).outcome
    assert second is not None
    before, after = (load_file(outcome.exported) for outcome in (first, second))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert {name.rpartition("blocks")[0] for name in after.keys() - before.keys()} == {"", "model.context."}
    deeper = [f"start={second.exported}", "generator.context_blocks=3"]
    with pytest.raises(WeightsError, match="of another size: context_blocks 2 instead of 3"):
        _train(write_recipe(tmp_path), output=tmp_path / "third", overrides=deeper)


def test_a_start_of_another_size_says_which(tmp_path: Path):
    first = _train(write_recipe(tmp_path), output=tmp_path / "first", overrides=["max_steps=1"])
    assert first.outcome is not None
    overrides = [f"start={first.outcome.exported}", "generator.features=5"]
    with pytest.raises(WeightsError, match="srrescycgan network of another size: features 4 instead of 5"):
        _train(write_recipe(tmp_path), output=tmp_path / "second", overrides=overrides)
    for start in ("nearly", "no/such.safetensors"):
        with pytest.raises(UsageError, match=f"^start: .*{start}"):
            _train(write_recipe(tmp_path), output=tmp_path / "third", overrides=[f"start={start}"])


def test_translations_are_kept_beside_each_state(tmp_path: Path):
    recipe, folder = write_unpaired_recipe(tmp_path, max_steps=4), tmp_path / "run"
    _train(recipe, output=folder, save_translations=True)
    kept = sorted(str(path.relative_to(folder / "translations")) for path in folder.glob("translations/*/*"))
    assert kept == ["step-00000002/0.png", "step-00000004/0.png"]
    with Image.open(folder / "translations" / kept[0]) as picture:
        assert picture.size == (3 * 32, 32)
    again = tmp_path / "again"
    _train(recipe, output=again)
    assert not (again / "translations").exists()


@pytest.mark.parametrize("course", [None, "synthetic"])
def test_translations_of_a_recipe_without_any_are_refused(tmp_path: Path, course: str | None):
    recipe = write_unpaired_recipe(tmp_path) if course else write_recipe(tmp_path)
    overrides = [f"course={course}"] if course else []
    with pytest.raises(UsageError, match=r"--save-translations: .* trains no network that translates") as caught:
        _train(recipe, output=tmp_path / "run", overrides=overrides, save_translations=True)
    assert caught.value.exit_code == 2
    assert not (tmp_path / "run").exists()


def test_a_run_begins_from_a_model_of_its_second_stages_method(tmp_path: Path):
    other = _train(write_recipe(tmp_path, max_steps=1), output=tmp_path / "other").outcome
    assert other is not None
    table = 'second_stage={ method = "srrescycgan", options = { features = 4, blocks = 1 } }'
    recipe = write_unpaired_recipe(tmp_path, start=f'"{other.exported}"')
    with pytest.raises(UsageError, match="is a srrescycgan model, this recipe trains cyclesr"):
        _train(recipe, output=tmp_path / "wrong")
    report = _train(recipe, output=tmp_path / "run", overrides=[table, "max_steps=1", "ema=0", "optimiser.lr=1e-30"])
    assert report.outcome is not None
    states = [read_state_dict(path) for path in (other.exported, report.outcome.exported)]
    assert states[0][1]["method"] == states[1][1]["method"] == "srrescycgan"
    assert all(torch.equal(states[0][0][name], states[1][0][name]) for name in states[0][0])


def test_adversaries_with_a_pool_are_gone_on_with_from_a_slim_state(tmp_path: Path):
    recipe, folder = write_unpaired_recipe(tmp_path, max_steps=3), tmp_path / "run"
    _train(recipe, output=folder, slim_state=tmp_path / "slim")
    watch = Silent()
    again = _train(
        recipe, output=tmp_path / "slim", overrides=["max_steps=4"], resume=True, force_config=True, watch=watch
    )
    assert again.outcome is not None
    assert again.outcome.step == 4
    assert watch.began is not None
    assert watch.began[0] == 3
