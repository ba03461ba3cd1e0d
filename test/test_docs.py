# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The documentation says what the code does.

Tables between `<!-- generated: NAME -->` and `<!-- end -->` are made from the code; after a change
`python test/test_docs.py` writes them anew. Links, paths, commands, parameter names and Python
examples are checked. None of it needs ROS.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import itertools
import re
import runpy
import shlex
import sys
import types
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import cv2
import pytest
import typer.main
import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "siammask_ros"
MESSAGES = REPOSITORY / "siammask_msgs"
DOCS = REPOSITORY / "docs"
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.glob("*.md")])
BLOCK = re.compile(r"<!-- generated: ([\w-]+) -->\n(.*?)<!-- end -->", re.DOTALL)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ROS_IMPORT = re.compile(r"(rclpy|rcl_interfaces|\w+_msgs|\w+_srvs|builtin_interfaces)\b")


# --- The code as it is, read without ROS


@lru_cache
def module_without_ros(name):
    """Execute a module of siammask_ros.ros with its imports of ROS left out."""
    path = PACKAGE / "ros" / f"{name}.py"
    tree = ast.parse(path.read_text())
    module = types.ModuleType(f"without_ros_{name}")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    kept = []
    for node in tree.body:
        source = getattr(node, "module", None) or ""
        if isinstance(node, ast.ImportFrom) and source.startswith("siammask_ros.ros."):
            other = module_without_ros(source.rpartition(".")[2])
            vars(module).update({alias.name: getattr(other, alias.name) for alias in node.names})
        elif not (isinstance(node, ast.ImportFrom) and ROS_IMPORT.match(source)):
            kept.append(node)
    tree.body = kept
    exec(compile(tree, str(path), "exec"), module.__dict__)  # noqa: S102 our own file
    return module


def tree_of(name):
    return ast.parse((PACKAGE / "ros" / f"{name}.py").read_text())


def calls_in(tree, name):
    """Return the calls of a function or method of this name."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", None)) == name
    ]


@lru_cache
def command_line():
    """Return the commands of `siammask` by their words, such as ("eval", "davis")."""
    app = importlib.import_module("siammask_ros.cli").app
    commands = {}

    def collect(command, words):
        inner = getattr(command, "commands", {})
        if not inner or words == ():
            commands[words] = command
        for name, child in inner.items():
            collect(child, (*words, name))

    collect(typer.main.get_command(app), ())
    return commands


def constant(path, name):
    """Return a literal that a file assigns to a name at its top level."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"{path} has no {name}")


def node_options(module):
    """Return (name, type, default, text) of each `_described` option of a node."""
    return [
        (node.target.id, ast.unparse(node.annotation), *map(ast.literal_eval, node.value.args))
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.value, ast.Call)
        and getattr(node.value.func, "id", None) == "_described"
    ]


def demo_options():
    """Return the options of the demo's command line."""
    tree = tree_of("demo")
    calls = [*calls_in(tree, "add"), *calls_in(tree, "add_argument")]
    return {call.args[0].value for call in calls}


def launch_arguments(file="tracker"):
    """Return name, default and description of a launch file's arguments."""
    if file == "replay":
        return [*launch_arguments(), *replay_launch_arguments()]
    return constant(REPOSITORY / "launch" / f"{file}.launch.py", "ARGUMENTS")


class Field(NamedTuple):
    """A field of a message."""

    kind: str
    name: str
    text: str


def message_parts(path):
    """Return the fields of a message, or of a service's request and response."""
    parts = [[]]
    for line in path.read_text().splitlines():
        if line == "---":
            parts.append([])
        elif line and not line.startswith("#"):
            declaration, _, text = line.partition("#")
            kind, name = declaration.split()
            parts[-1].append(Field(kind, name, text.strip()))
    return parts


# --- The generated tables


def table(head, rows):
    def line(cells):
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(head), line(["---"] * len(head)), *map(line, rows)]) + "\n"


def code(value):
    """Return a value as YAML would have it, in code quotes."""
    if isinstance(value, (list, tuple)):
        inner = ", ".join(f'"{entry}"' for entry in value)
        return f"`[{inner}]`"
    if isinstance(value, bool):
        value = str(value).lower()
    return f"`{value}`" if value != "" else '`""`'


class ParameterTable(NamedTuple):
    module: str
    name: str
    file: str


PARAMETERS = {
    "parameters": ParameterTable("parameters", "Settings", "tracker.yaml"),
    "localizer-parameters": ParameterTable(
        "localizer_parameters", "LocalizerSettings", "localizer.yaml"
    ),
    "follower-parameters": ParameterTable(
        "follower_parameters", "FollowerSettings", "follower.yaml"
    ),
}
"""The tables of parameters by their names in the docs: where they are, and their defaults."""


def settings_of(block):
    return getattr(module_without_ros(PARAMETERS[block].module), PARAMETERS[block].name)


def parameters_table(settings):
    words = {"NEVER": "at start", "UNCONFIGURED": "unconfigured", "ANY_TIME": "live"}
    rows = []
    for entry in dataclasses.fields(settings):
        rule = entry.metadata["rule"]
        allowed = ", ".join(code(choice) for choice in rule.choices)
        if rule.lowest is not None:
            allowed = f"{rule.lowest:g} to {rule.highest:g}"
        kind = "string[]" if entry.type.startswith("tuple") else entry.type.replace("str", "string")
        change = words[rule.changes.name]
        rows.append(
            (f"`{entry.name}`", kind, code(entry.default), allowed, change, rule.description)
        )
    return table(("parameter", "type", "default", "allowed", "changes", "meaning"), rows)


def message_table(path):
    titles = ("Request", "Response") if path.suffix == ".srv" else ("",)
    sections = []
    for title, fields in zip(titles, message_parts(path), strict=True):
        rows = [(f"`{field.name}`", f"`{field.kind}`", field.text) for field in fields]
        heading = f"{title}:\n\n" if title else ""
        sections.append(heading + table(("field", "type", "meaning"), rows))
    return "\n".join(sections)


def launch_table(arguments):
    rows = [(f"`{name}`", code(default), text) for name, default, text in arguments]
    return table(("argument", "default", "meaning"), rows)


def replay_launch_arguments():
    """Return the arguments that replay.launch.py adds or changes."""
    path = REPOSITORY / "launch" / "replay.launch.py"
    changed = constant(path, "CHANGED_DEFAULTS")
    assert set(changed) <= {name for name, _, _ in launch_arguments()}
    return [
        *constant(path, "BAG_ARGUMENTS"),
        *((name, changed[name], text) for name, _, text in launch_arguments() if name in changed),
    ]


def options_table(module):
    rows = [
        (f"`{name}`", {"str": "string"}.get(kind, kind), code(default), text)
        for name, kind, default, text in node_options(module)
    ]
    return table(("parameter", "type", "default", "meaning"), rows)


def encodings_list():
    names = sorted(importlib.import_module("siammask_ros.image_messages").ENCODINGS)
    return ", ".join(f"`{name}`" for name in names) + "\n"


def presets_table():
    settings = importlib.import_module("siammask_ros.tracker_config")
    names = importlib.import_module("siammask_ros.presets").PRESETS
    configs = {name: settings.TrackerConfig.preset(name) for name in names}
    names = [
        entry.name
        for entry in dataclasses.fields(settings.TrackerConfig)
        if len({str(getattr(config, entry.name)) for config in configs.values()}) > 1
    ]
    rows = [
        (f"`{name}`", *(code(getattr(config, name)) for config in configs.values()))
        for name in names
    ]
    return table(("setting", *(f"`{name}`" for name in configs)), rows)


def documented_fields(kind):
    """Return the meaning of each field of a dataclass, from its docstring's `Attributes:`."""
    _, _, text = (kind.__doc__ or "").partition("Attributes:\n")
    meanings = {}
    for entry in re.split(r"\n(?= {8}\S)", text.rstrip()):
        names, _, meaning = " ".join(entry.split()).partition(": ")
        for name in names.split(", "):
            meanings[name] = meaning.replace("SOURCE_KINDS", ", ".join(map(code, source_kinds())))
    return meanings


def source_kinds():
    return importlib.import_module("siammask_ros.training.config").SOURCE_KINDS


def training_settings():
    """A table for each section of a training configuration."""
    config = importlib.import_module("siammask_ros.training.config")
    parts = [("", config.TrainingConfig), ("data", config.DataConfig)]
    parts += [("data.sources.NAME", config.SourceConfig), ("samples", config.SampleConfig)]
    parts += [("samples.photometric", importlib.import_module(
        "siammask_ros.training.photometric").PhotometricConfig)]  # fmt: skip
    parts += [("losses", config.LossConfig), ("optimizer", config.OptimizerConfig)]
    parts += [("schedule[]", config.RatePhase), ("trained[]", config.TrainedPart)]
    sections = {name.partition("[")[0] for name, _ in parts}
    made = []
    for section, kind in parts:
        meanings = documented_fields(kind)
        rows = []
        for entry in dataclasses.fields(kind):
            name = f"{section}.{entry.name}".strip(".")
            default = code(entry.default) if entry.default is not dataclasses.MISSING else ""
            if entry.default_factory is not dataclasses.MISSING or name in sections:
                default = "see below" if name in sections else "none"
            required = not default and entry.default_factory is dataclasses.MISSING
            rows.append((f"`{entry.name}`", "required" if required else default,
                         meanings.get(entry.name, "see below")))  # fmt: skip
        title = f"`{section}`" if section else "The run"
        made.append(f"### {title}\n\n" + table(("setting", "default", "meaning"), rows))
    return "\n".join(made)


def command_table(words):
    rows = []
    for parameter in command_line()[words].params:
        if parameter.name == "help":
            continue
        names = ", ".join(f"`{option}`" for option in parameter.opts)
        if not parameter.opts[0].startswith("-"):
            names = f"`{parameter.name.upper()}`"
        default = getattr(parameter.default, "value", parameter.default)
        shown = "required" if parameter.required else code(default)
        if default is None or default is False or default == "":
            shown = "required" if parameter.required else ""
        rows.append((names, shown, parameter.help or ""))
    return table(("option", "default", "meaning"), rows)


def generators():
    """Return what makes each block, by its name; a command without options needs none."""
    made = {
        **{block: partial(parameters_table, settings_of(block)) for block in PARAMETERS},
        "launch-arguments": lambda: launch_table(launch_arguments()),
        "replay-launch-arguments": lambda: launch_table(replay_launch_arguments()),
        "localizer-launch-arguments": lambda: launch_table(launch_arguments("localizer")),
        "following-launch-arguments": lambda: launch_table(launch_arguments("following")),
        "follow-demo-launch-arguments": lambda: launch_table(launch_arguments("follow_demo")),
        "world-simulator-parameters": lambda: parameters_table(
            module_without_ros("world_parameters").SimulatorSettings
        ),
        "nav2-launch-arguments": lambda: launch_table(launch_arguments("nav2_following")),
        "video-camera-parameters": lambda: options_table("video_camera"),
        "encodings": encodings_list,
        "presets": presets_table,
        "training-settings": training_settings,
    }
    for path in sorted(MESSAGES.glob("*/*.*")):
        made[path.stem] = lambda path=path: message_table(path)
    for words, command in command_line().items():
        if words and any(parameter.name != "help" for parameter in command.params):
            made["-".join(("siammask", *words))] = lambda words=words: command_table(words)
    return made


def blocks():
    """Return (page, name, text) of each generated block."""
    return [(page, name, text) for page in PAGES for name, text in BLOCK.findall(page.read_text())]


def rewrite():
    """Write all generated blocks anew."""
    made = generators()
    for page in PAGES:
        old = page.read_text()
        new = BLOCK.sub(
            lambda found: f"<!-- generated: {found[1]} -->\n{made[found[1]]()}<!-- end -->", old
        )
        if new != old:
            page.write_text(new)


@pytest.mark.parametrize(
    ("page", "name", "text"), blocks(), ids=[f"{page.stem}-{name}" for page, name, _ in blocks()]
)
def test_generated_block_is_up_to_date(page, name, text):
    assert name in generators(), f"{page.name}: nothing makes {name!r}"
    assert text == generators()[name](), "run: python test/test_docs.py"


def test_every_table_is_in_the_docs():
    assert {name for _, name, _ in blocks()} == set(generators())


@pytest.mark.parametrize("block", list(PARAMETERS))
def test_the_parameter_table_is_complete(block):
    """Another way to the names and defaults: the YAML file that the launch file reads."""
    text = (REPOSITORY / "config" / PARAMETERS[block].file).read_text()
    expected = yaml.safe_load(text)["/**"]["ros__parameters"]
    (found,) = [text for _, name, text in blocks() if name == block]
    cells = [line.split(" | ") for line in found.splitlines()[2:]]
    documented = {row[0].strip("| `"): yaml.safe_load(row[2].strip("`")) for row in cells}
    assert documented == expected


def test_every_training_setting_is_explained():
    config = importlib.import_module("siammask_ros.training.config")
    sections = {"data", "samples", "losses", "optimizer", "photometric"}
    for kind in vars(config).values():
        if dataclasses.is_dataclass(kind):
            names = {entry.name for entry in dataclasses.fields(kind)} - sections
            assert names == set(documented_fields(kind)) - sections, kind.__name__


@pytest.mark.parametrize("block", list(PARAMETERS))
def test_the_settings_are_those_that_ros_sees(block):
    pytest.importorskip("rclpy")
    module, name, _ = PARAMETERS[block]
    real = getattr(importlib.import_module(f"siammask_ros.ros.{module}"), name)()
    assert dataclasses.asdict(real) == dataclasses.asdict(settings_of(block)())


# --- Topics, services and diagnostics


def rows_of(page, heading):
    """Return the cells of the table below a heading."""
    section = re.split(r"^#+ ", page.read_text(), flags=re.MULTILINE)
    (body,) = [text for text in section if text.startswith(f"{heading}\n")]
    lines = [line for line in body.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_output_topics_are_those_of_the_node():
    calls = calls_in(tree_of("outputs"), "create")
    created = {(f"`~/{call.args[1].value}`", call.args[0].id) for call in calls}
    node = calls_in(tree_of("node"), "create_publisher")
    created |= {(f"`{call.args[1].value}`", call.args[0].id) for call in node}
    rows = rows_of(DOCS / "node.md", "Topics published")
    documented = {(row[0], row[1].strip("`").rsplit("/", 1)[-1]) for row in rows}
    assert documented == created


def test_topics_of_the_localizer_are_in_its_table():
    inputs = tree_of("localizer_inputs")
    read = {call.args[0].value: call.args[1].id for call in calls_in(inputs, "_listen")}
    for call in calls_in(inputs, "create_subscription"):
        read[call.args[1].value] = call.args[0].id
    for call in calls_in(inputs, "CameraInfoSource"):
        read[call.args[1].args[0].value] = "CameraInfo"
    outputs = tree_of("localizer_outputs")
    calls = [*calls_in(outputs, "create"), *calls_in(tree_of("localizer"), "create_publisher")]
    written = {call.args[1].value: call.args[0].id for call in calls}
    for node in outputs.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "TARGET_TOPICS":
            for entry in node.value.elts:
                written[f"~/target_ID/{entry.elts[0].value}"] = entry.elts[1].id
    expected = {("in", *row) for row in read.items()} | {("out", *row) for row in written.items()}
    rows = rows_of(DOCS / "following.md", "Where the target is")
    found = {(row[0], row[1].strip("`"), row[2].strip("`").rsplit("/", 1)[-1]) for row in rows}
    assert found == expected | {("out", "/tf", "TFMessage")}


def test_services_are_those_of_the_node():
    calls = calls_in(tree_of("node"), "create_service")
    names = [ast.unparse(call.args[1]).strip("f'").replace("{prefix}", "~/") for call in calls]
    created = {(f"`{name}`", call.args[0].id) for name, call in zip(names, calls, strict=True)}
    rows = rows_of(DOCS / "node.md", "Services")
    documented = {(row[0], row[1].strip("`").rsplit("/", 1)[-1]) for row in rows}
    assert documented == created


def test_queue_depths_are_those_of_the_node():
    text = (DOCS / "node.md").read_text()
    depths = module_without_ros("parameters").SUBSCRIPTION_DEPTHS
    assert f"depth {depths['realtime']} with `realtime`, {depths['every_frame']} with" in text
    assert f"depth {constant(PACKAGE / 'ros' / 'outputs.py', 'OUTPUT_DEPTH')}," in text


def test_frame_counts_are_those_of_the_tracker():
    """Thresholds that are no parameters stand in the text about the states."""
    config = importlib.import_module("siammask_ros.longterm").LongTermConfig()
    number = {3: "three"}
    text = " ".join((DOCS / "node.md").read_text().split())
    for said in (
        f"after {config.uncertain_after} frames in a row under `uncertain_below`",
        f"to TRACKING after {config.certain_after} frames in a row from `certain_above`",
        f"in {config.confirm_frames} frames in a row, or in {config.far_confirm_frames} if it",
        f"farther than {number[config.far_jump]} target sizes",
        f"all lost targets together: {config.searches_per_step} regions",
        {0.5: "its confidence, halved where the mask is empty"}[config.empty_mask_factor],
    ):
        assert said in text, said


def test_diagnostic_values_are_those_of_the_node():
    calls = calls_in(tree_of("diagnostics"), "diagnostic_values")
    published = {keyword.arg for call in calls for keyword in call.keywords}
    documented = {row[0].strip("`") for row in rows_of(DOCS / "node.md", "Diagnostics")}
    assert documented == published


def said_by_the_code():
    """Return every text in the code, values left out, as one string."""
    texts = []
    for path in [*PACKAGE.rglob("*.py"), REPOSITORY / "tools" / "setup_environment.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [getattr(part, "value", None) for part in node.values]
                texts.append("".join(p if isinstance(p, str) else "\0" for p in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def test_explained_messages_are_those_of_the_code():
    """In the tables of messages `<...>` stands for a value."""
    rows = []
    for heading in ("No image", "What the node refuses", "What the diagnostics say", "Set-up"):
        rows += [row[0] for row in rows_of(DOCS / "troubleshooting.md", heading)]
    rows += [row[0] for row in rows_of(DOCS / "select.md", "Without a window")]
    assert len(rows) > 10
    said = said_by_the_code()
    for message in rows:
        for piece in re.split(r"<[^>]*>", message.strip("`")):
            assert piece.strip() in said, f"{message}: nothing says {piece.strip()!r}"


# --- Links and paths


def anchors_of(page):
    """Return the anchors of a page's headings, as Git hosts make them."""
    text = FENCE.sub("", page.read_text())
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_anchors_follow_the_headings(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One: `two`, three\n```sh\n# no heading\n```\n")
    assert anchors_of(page) == {"one-two-three"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        assert not name.startswith("/"), f"{target} is not relative"
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name}: no {target}"
        if anchor:
            assert anchor in anchors_of(path), f"{page.name}: no heading for {target}"


def test_every_page_is_reached_from_the_readme():
    text = (REPOSITORY / "README.md").read_text()
    for page in DOCS.glob("*.md"):
        assert f"](docs/{page.name})" in text, f"the README links no docs/{page.name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_named_files_exist(page):
    folders = "config|docs|launch|requirements|siammask_msgs|siammask_ros|test|tools|\\.ci"
    pattern = rf"(?<![\w./-])((?:{folders})/[\w./-]*(?:\.\w+|/))(?![\w*])"
    for name in re.findall(pattern, page.read_text()):
        assert (REPOSITORY / name.rstrip(".")).exists(), f"{page.name}: there is no {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_images_are_small(page):
    for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text()):
        assert (page.parent / name).stat().st_size < 250_000


# --- Commands


def commands_in(page):
    """Return the shell commands of a page as lists of words, comments left out."""
    found = []
    for language, body in FENCE.findall(page.read_text()):
        if language not in {"sh", "bash"}:
            continue
        begun = ""
        for line in body.replace("\\\n", " ").splitlines():
            begun += f"{line}\n"
            if begun.count('"') % 2:
                continue  # a quoted text goes on in the next line
            words = shlex.split(begun, comments=True)
            found += [words] if words else []
            begun = ""
        assert not begun, f"{page.name}: {begun}"
    return found


COMMANDS = [(page, words) for page in PAGES for words in commands_in(page)]
SHELL_IDS = [f"{page.stem}-{' '.join(words)[:60]}" for page, words in COMMANDS]


def check_siammask(words):
    known = command_line()
    lengths = [count for count in range(1, len(words) + 1) if tuple(words[:count]) in known]
    count = max(lengths, default=0)
    options = {
        option for parameter in known[tuple(words[:count])].params for option in parameter.opts
    }
    options |= {"--help", "-h", "--debug"}
    rest = words[count:]
    if count == 0:
        plain = tuple(word for word in rest if not word.startswith("-"))
        groups = {command[: len(plain)] for command in known}
        assert plain in groups, f"there is no command siammask {' '.join(words)}"
    for word in rest:
        if re.match(r"--?[a-z]", word):
            assert word.partition("=")[0] in options, f"siammask {' '.join(words)}: no {word}"


def check_make(words):
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    text = (REPOSITORY / "Makefile").read_text()
    for word in words:
        name, equals, _ = word.partition("=")
        if equals:
            known = re.search(rf"^{name}\s*[?:]?=", text, re.MULTILINE) or f"{name}=" in text
            assert known, f"the Makefile has no {name}"
        else:
            assert name in targets, f"the Makefile has no target {name}"


def check_ros2(words):
    kind, *rest = words
    if rest[0] == "siammask_ros" and rest[1].endswith(".launch.py"):
        known = {name for name, _, _ in launch_arguments(rest[1].removesuffix(".launch.py"))}
        assert {word.partition(":=")[0] for word in rest[2:]} <= known
    elif kind == "run" and rest[:2] == ["siammask_ros", "select_target"]:
        check_siammask(["select", *itertools.takewhile(lambda w: w != "--ros-args", rest[2:])])
    elif kind == "run" and rest[:2] == ["siammask_ros", "replay"]:
        check_siammask(["replay", *rest[2:]])
    elif kind == "run" and rest[0] == "siammask_ros":
        check_node(f"siammask_ros.ros.{rest[1]}".replace("tracker_node", "node"), rest[2:])
    elif kind == "param" and len(rest) > 2 and rest[1] == "/siammask_tracker":
        assert rest[2] in module_without_ros("parameters").Settings.rules()
    elif kind == "service" and rest[0] == "call":
        check_service_call(rest[1:])
    elif kind in {"topic", "service"} and "siammask_tracker" in " ".join(rest):
        (name,) = [word for word in rest if word.startswith("/siammask_tracker/")]
        text = (DOCS / "node.md").read_text()
        assert f"`~/{name.rsplit('/', 1)[-1]}`" in text
    else:
        assert kind in {"bag", "interface", "launch", "lifecycle", "node", "param", "topic", "run"}


def check_service_call(words):
    name, kind, *requests = words
    _, node, service = name.split("/")
    module = "node" if node == "siammask_tracker" else node.removeprefix("target_")
    source = (PACKAGE / "ros" / f"{module}.py").read_text()
    assert f'"~/{service}"' in source
    if kind == "std_srvs/srv/Trigger":
        assert f'Trigger, "~/{service}"' in source
        assert not requests
        return
    (request,) = requests
    if kind == "std_srvs/srv/SetBool":
        assert f'SetBool, "~/{service}"' in source
        assert set(yaml.safe_load(request)) == {"data"}
        return
    path = MESSAGES / "srv" / f"{kind.rsplit('/', 1)[-1]}.srv"
    assert kind == f"siammask_msgs/srv/{path.stem}"
    values = yaml.safe_load(request)
    assert set(values) <= {field.name for field in message_parts(path)[0]}
    target_fields = {field.name for field in message_parts(MESSAGES / "msg" / "TargetBox.msg")[0]}
    for target in values.get("targets", []):
        assert set(target) <= target_fields


def check_node(module, words):
    name = module.rsplit(".", 1)[-1]
    file = name.removesuffix("_node") if name != "node" else name
    assert (PACKAGE / "ros" / f"{file}.py").is_file(), f"no {module}"
    if name == "demo":
        assert {word for word in words if word.startswith("--")} <= demo_options()
        return
    if name == "node" or name.endswith("_node"):
        block = f"{name.removesuffix('_node')}-parameters" if name != "node" else "parameters"
        known = set(settings_of(block).rules()) | {"use_sim_time"}
    else:
        known = {option[0] for option in node_options(name)}
    for flag, value in itertools.pairwise(words):
        if flag == "-p":
            assert value.partition(":=")[0] in known, f"{module} has no parameter {value}"


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=SHELL_IDS)
def test_documented_commands_exist(page, words):
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
        if not words:
            return
    if words[:2] == ["bash", "tools/env.sh"]:
        words = words[2:]
    match words:
        case ["siammask", *rest]:
            check_siammask(rest)
        case ["make", *rest]:
            check_make(rest)
        case ["ros2", *rest]:
            check_ros2(rest)
        case ["python", "-m", module, *rest] if module.startswith("siammask_ros.ros."):
            check_node(module, rest)


def test_inline_commands_exist():
    for page in PAGES:
        text = FENCE.sub("", page.read_text())
        for line in re.findall(r"`siammask ([^`]+)`", text):
            check_siammask(shlex.split(line.replace("...", "")))
        for line in re.findall(r"`make ([^`]+)`", text):
            check_make(shlex.split(line))


@pytest.mark.parametrize(
    "words",
    [["no-such-command"], ["track", "a.mp4", "--no-such-option"], ["eval", "nothing", "ROOT"]],
)
def test_an_unknown_command_is_noticed(words):
    with pytest.raises(AssertionError):
        check_siammask(words)


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (check_make, ["nothing"]),
        (check_ros2, ["launch", "siammask_ros", "tracker.launch.py", "nothing:=1"]),
        (check_ros2, ["param", "set", "/siammask_tracker", "nothing", "1"]),
        (check_ros2, ["topic", "echo", "/siammask_tracker/nothing"]),
        (
            check_service_call,
            ["/siammask_tracker/set_targets", "siammask_msgs/srv/SetTargets", "{nothing: 1}"],
        ),
        (check_node, ["siammask_ros.ros.demo", ["--nothing"]]),
        (check_node, ["siammask_ros.ros.video_camera", ["-p", "nothing:=1"]]),
    ],
)
def test_a_wrong_name_is_noticed(check, words):
    with pytest.raises(AssertionError):
        check(*words) if check is check_node else check(words)


# --- Python and YAML


def fences(language):
    return [
        (page, body) for page in PAGES for kind, body in FENCE.findall(page.read_text())
        if kind == language
    ]  # fmt: skip


def test_yaml_names_parameters_of_the_node():
    seen = 0
    for _, body in fences("yaml"):
        values = yaml.safe_load(body)
        for entry in values.values():
            if isinstance(entry, dict) and "ros__parameters" in entry:
                seen += 1
                node = next(name for name, value in values.items() if value is entry)
                words = ("localizer", "follower")
                block = next((f"{w}-parameters" for w in words if w in node), "parameters")
                settings_of(block)(
                    **{
                        name: tuple(value) if isinstance(value, list) else value
                        for name, value in entry["ros__parameters"].items()
                        if name != "use_sim_time"
                    }
                )
    assert seen


@pytest.mark.parametrize(
    ("page", "body"), fences("python"), ids=[page.stem for page, _ in fences("python")]
)
def test_python_examples_are_valid(page, body):
    tree = ast.parse(body)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "siammask_ros":
            if node.module.startswith("siammask_ros.ros"):
                continue
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"


@pytest.mark.skipif(
    not (PACKAGE / "checkpoints" / "compact.pth").is_file(), reason="no bundled checkpoint"
)
def test_python_page_runs(tmp_path, monkeypatch):
    """All examples of the page, one after the other, on a rendered clip."""
    scenes = importlib.import_module("siammask_ros.scenes")
    monkeypatch.chdir(tmp_path)
    Path("frames").mkdir()
    options = scenes.scenario("plain")
    clip = scenes.render_sequence(7, frames=4, size_wh=(320, 240), options=options)
    frames = list(clip)
    for index, frame in enumerate(frames):
        cv2.imwrite(f"frames/{index:03d}.png", frame.image_bgr)
    box = frames[0].boxes[1]
    values = {"box_xywh": box.xywh, "__name__": "example"}
    for page, body in fences("python"):
        if page.name in {"python.md", "README.md"}:
            values["image_bgr"] = frames[0].image_bgr
            exec(compile(body, page.name, "exec"), values)  # noqa: S102 our own file
    assert values["result"].mask.shape == (240, 320)


# --- Metadata of the project


def test_the_changelog_is_of_this_version(monkeypatch):
    arguments = {}
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr("setuptools.setup", arguments.update)
    runpy.run_path(str(REPOSITORY / "setup.py"))
    for package, folder in (("siammask_ros", REPOSITORY), ("siammask_msgs", MESSAGES)):
        text = (folder / "CHANGELOG.rst").read_text()
        title = f"Changelog for package {package}"
        rule = "^" * len(title)
        assert text.startswith(f"{rule}\n{title}\n{rule}\n\n")
        heading, underline = re.findall(r"^(\d.*|Forthcoming)\n(-+)$", text, re.MULTILINE)[0]
        assert re.fullmatch(rf"{re.escape(arguments['version'])} \(\d{{4}}-\d\d-\d\d\)", heading)
        assert len(underline) == len(heading)


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))
    rewrite()
