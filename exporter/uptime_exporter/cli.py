"""What a person types: run, check, probe, report, ledger, demo."""

import argparse
import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from uptime_exporter import __version__
from uptime_exporter.clock import SystemClock
from uptime_exporter.errors import SettingsError, UptimeError
from uptime_exporter.later import Later
from uptime_exporter.outcome import OwnFault
from uptime_exporter.settings import Settings, secrets_of
from uptime_exporter.settings.apart import Reading, blocked

if TYPE_CHECKING:
    import asyncio
    import tempfile

    from uptime_exporter import app as works
    from uptime_exporter import demo as stage
    from uptime_exporter import drill as fire
    from uptime_exporter import ledger as books
    from uptime_exporter import logs
    from uptime_exporter import report as paper
    from uptime_exporter.ledger import transfer
    from uptime_exporter.monitor import Attempt
    from uptime_exporter.settings import load as here
else:
    asyncio, tempfile = Later("asyncio"), Later("tempfile")
    logs, works = Later("uptime_exporter.logs"), Later("uptime_exporter.app")
    stage, paper = Later("uptime_exporter.demo"), Later("uptime_exporter.report")
    books, transfer = Later("uptime_exporter.ledger"), Later("uptime_exporter.ledger.transfer")
    fire, here = Later("uptime_exporter.drill"), Later("uptime_exporter.settings.load")

WELL, NOT_WELL, UNUSABLE = 0, 1, 2
"""Exit codes: as asked; down, inconclusive or failed; the settings or the arguments cannot be used."""

DEMO_PORTS = {
    "backend_port": 8000,
    "model_port": 8001,
    "asr_port": 8002,
    "mysql_port": 3306,
    "control_port": 8009,
}
SERVE_PORTS = {"main_backend": 8000, "model_server": 8001, "asr_ocr_server": 8002}


class Sources(NamedTuple):
    """Where the settings come from, beside the environment."""

    config: Path | None
    overrides: Mapping[str, object]

    def load(self) -> Settings:
        """Read them here and now."""
        return here.load_settings(self.config, overrides=self.overrides)

    def reading(self) -> Reading:
        """Begin to read them elsewhere."""
        return Reading(self.config, self.overrides)


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    signal.signal(
        signal.SIGTERM, _leave
    )  # as process 1 of a container, a signal without a handler is ignored
    arguments = _parser().parse_args(argv)
    sources = Sources(arguments.config, _overrides(arguments))
    try:
        return int(arguments.command(arguments, sources))
    except SettingsError as error:
        return _complain(*error.mistakes)
    except UptimeError as error:
        return _complain(str(error))
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def run(_arguments: argparse.Namespace, sources: Sources) -> int:
    """Probe and publish until told to stop."""
    gc.disable()  # for the time of the imports, of which hardly anything is to be freed
    with sources.reading() as reading:
        with blocked({signal.SIGTERM, signal.SIGINT}):  # an exception in an import may get lost
            works.collect_rarely()  # all that there is to import is imported while the settings are read
        settings = reading.result()
    with asyncio.Runner(loop_factory=works.new_event_loop) as runner:
        return runner.run(_run(settings, sources.reading))


def check(_arguments: argparse.Namespace, sources: Sources) -> int:
    """Say whether the settings can be used, with every mistake at once."""
    settings = sources.load()
    width = max(map(len, settings.targets))
    for name, target in settings.targets.items():
        print(f"{name:{width}}  {target.kind:5}  {target.address}  every {target.interval:g} s")
    for name, sla in settings.slas.items():
        days = sla.window / 86_400
        print(f"{name}: {sla.objective * 100:g} % over {days:g} days of {', '.join(sla.targets)}")
    print("The settings can be used.")
    return WELL


def probe(arguments: argparse.Namespace, sources: Sources) -> int:
    """Ask one target once, and show the phases and the verdict."""
    settings = sources.load()
    target = settings.targets.get(arguments.target)
    if target is None:
        known = ", ".join(settings.targets)
        return _complain(f"there is no target {arguments.target!r}; the settings know {known}")
    logs.configure("logfmt", "error")
    logs.redact(secrets_of(settings))
    attempt = asyncio.run(works.ask_once(arguments.target, target, SystemClock()))
    print("\n".join(_told(arguments.target, target.kind, target.address, attempt)))
    return WELL if attempt.reason is None else NOT_WELL


def report(arguments: argparse.Namespace, sources: Sources) -> int:
    """Say what was promised and what was kept, in a calendar month or any other time."""
    request = paper.Request.from_arguments(arguments, SystemClock().wall())
    document = paper.report(books.read_history(sources.load().ledger), request)
    if request.output is None:
        print(document, end="")
    else:
        paper.write(document, request.output)
    return WELL


def ledger_check(_arguments: argparse.Namespace, sources: Sources) -> int:
    """Say whether the ledger agrees with itself."""
    path = sources.load().ledger
    problems = transfer.check(path)
    print("\n".join(problems) if problems else f"{path} agrees with itself.")
    return NOT_WELL if problems else WELL


def ledger_export(_arguments: argparse.Namespace, sources: Sources) -> int:
    """Write the whole ledger to standard output, as JSON lines."""
    transfer.export(sources.load().ledger, sys.stdout)
    return WELL


def ledger_import(arguments: argparse.Namespace, sources: Sources) -> int:
    """Make a new ledger of what export has written."""
    path = sources.load().ledger
    with arguments.file as lines:
        transfer.import_(lines, path)
    print(f"{path} holds all of it.")
    return WELL


def demo(arguments: argparse.Namespace, sources: Sources) -> int:
    """Start stand-ins for the watched servers, with faults to switch on, and the exporter watching them."""
    return asyncio.run(_demo(arguments, sources))


def demo_serve(arguments: argparse.Namespace, _sources: Sources) -> int:
    """Run one stand-in by itself, as a container does, with a control of its own."""
    logs.configure(arguments.log_format or "logfmt", "info")
    port = SERVE_PORTS[arguments.server] if arguments.port is None else arguments.port
    if arguments.server == "main_backend":
        return _serve_backend(arguments, port)
    asyncio.run(
        stage.serve(
            arguments.server,
            host=arguments.host,
            port=port,
            control_port=arguments.control_port,
            control_names=arguments.control_name,
        )
    )
    return WELL


def _serve_backend(arguments: argparse.Namespace, port: int) -> int:
    host, _, mysql_port = (
        arguments.mysql.rpartition(":") if ":" in arguments.mysql else (arguments.mysql, "", "")
    )
    password = os.environ.get("DEMO_MYSQL_PASSWORD", "")
    if arguments.mysql_password_file is not None:
        password = arguments.mysql_password_file.read_text().removesuffix("\n")
    neighbours = stage.Neighbours(
        model_server=arguments.model_server.rstrip("/"),
        asr_ocr_server=arguments.asr_ocr_server.rstrip("/"),
        mysql_host=host or None,
        mysql_port=int(mysql_port or 3306),
        mysql_user=arguments.mysql_user,
        mysql_password=password,
    )
    logs.redact(frozenset({password} - {""}))
    asyncio.run(
        stage.serve_backend(
            neighbours,
            host=arguments.host,
            port=port,
            control_port=arguments.control_port,
            control_names=arguments.control_name,
            record=arguments.record,
            shutdown_timeout=arguments.shutdown_timeout,
            inherited=arguments.inherited,
        )
    )
    return WELL


def demo_load(arguments: argparse.Namespace, _sources: Sources) -> int:
    """Ask the main backend as its users do, and say whether they got their answers: 0 if 99.9 % did."""
    seconds, rate = arguments.seconds, arguments.rate
    users = stage.Load(arguments.url, rate=rate)
    if arguments.endless:
        logs.configure(arguments.log_format or "logfmt", "info")
        asyncio.run(stage.ask_endlessly(users, arguments.pulse))
        return WELL
    is_seen = sys.stderr.isatty()

    def progress(tally: Any, passed: float) -> None:
        if is_seen:
            print(stage.bar(tally, passed, seconds), end="", file=sys.stderr, flush=True)

    tally = asyncio.run(users.run(seconds, progress))
    if is_seen:
        print(file=sys.stderr)
    print(tally.told(seconds))
    return WELL if tally.kept else NOT_WELL


def drill(arguments: argparse.Namespace, _sources: Sources) -> int:
    """Let a target fail, see that somebody is told, let it be well again, see that this is told too."""
    told = asyncio.run(fire.rehearse(fire.options(arguments), fire.Progress(sys.stdout)))
    return WELL if told else NOT_WELL


async def _run(settings: Settings, reading: Callable[[], Reading]) -> int:
    return await works.App(settings, reading, SystemClock()).run()


async def _demo(arguments: argparse.Namespace, sources: Sources) -> int:
    ports = {name: getattr(arguments, name) for name in DEMO_PORTS}
    with tempfile.TemporaryDirectory(prefix="uptime-exporter-") as folder:
        async with stage.stand_ins(**ports) as standing:
            settings = {"ledger": "uptime.db", **standing.overrides()}
            file = _private_file(Path(folder, "uptime.yaml"), json.dumps(settings))
            of_demo = sources._replace(config=file)
            app = works.App(of_demo.load(), of_demo.reading, SystemClock())
            return await app.run(lambda url: print(standing.instructions(url), flush=True))


def _private_file(path: Path, text: str) -> Path:
    """Write *text* where only this user can read it; JSON is YAML too."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def _told(name: str, kind: str, address: str, attempt: "Attempt") -> list[str]:
    """Return what became of one attempt, as lines."""
    phases = attempt.phases.seconds
    lines = [f"{name}: {kind} {address}"]
    lines += [f"  {phase:<12}{seconds * 1000:9.2f} ms" for phase, seconds in phases.items()]
    lines.append(f"  {'together':<12}{sum(phases.values()) * 1000:9.2f} ms")
    if attempt.seen.message:
        lines.append(f"  it says: {attempt.seen.message}")
    for model, loaded in attempt.seen.models.items():
        lines.append(f"  model {model}: {'loaded' if loaded else 'missing'}")
    match attempt.reason:
        case None:
            lines.append("UP, but degraded" if attempt.seen.degraded else "UP")
        case OwnFault() as fault:
            lines.append(f"INCONCLUSIVE ({fault}): {attempt.detail}")
        case reason:
            lines.append(f"DOWN ({reason}): {attempt.detail}")
    return lines


class _Parser(argparse.ArgumentParser):
    """May get arguments when it is asked: they need modules that the other commands do without."""

    late: Callable[[argparse.ArgumentParser], None] | None = None

    def parse_known_args(self, *args: Any, **keywords: Any) -> Any:
        """Get them first, once."""
        late, self.late = self.late, None
        if late is not None:
            late(self)
        return super().parse_known_args(*args, **keywords)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="uptime-exporter", description="Know whether your service kept its promise."
    )
    parser.add_argument("--version", action="version", version=f"uptime-exporter {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Parser)
    settings = _settings_arguments()
    for command, about in (
        (run, "probe the targets and publish what is found"),
        (check, "check the settings"),
    ):
        each = commands.add_parser(
            command.__name__, help=about, parents=[settings], description=command.__doc__
        )
        each.set_defaults(command=command)
    asking = commands.add_parser(
        "probe", help="ask one target once", parents=[settings], description=probe.__doc__
    )
    asking.add_argument("target", metavar="TARGET", help="its name in the settings")
    asking.set_defaults(command=probe)
    telling = commands.add_parser(
        "report", help="what was promised and what was kept", parents=[settings], description=report.__doc__
    )
    telling.late = lambda parser: paper.add_arguments(parser)  # noqa: PLW0108 - found when it is called
    telling.set_defaults(command=report)
    _ledger_commands(commands.add_parser("ledger", help="check, export or import the ledger"), settings)
    showing = commands.add_parser(
        "demo", help="watch stand-ins that can be broken", parents=[settings], description=demo.__doc__
    )
    for name, port in DEMO_PORTS.items():
        flag = "--" + name.replace("_", "-")
        showing.add_argument(
            flag, type=int, default=port, metavar="PORT", help=f"{port} unless taken; 0: any"
        )
    showing.set_defaults(command=demo)
    _serve_command(showing)
    drilling = commands.add_parser(
        "drill", help="see whether a fault is told to somebody", description=drill.__doc__
    )
    drilling.late = lambda parser: fire.add_arguments(parser)  # noqa: PLW0108 - found when it is called
    drilling.set_defaults(command=drill, config=None, set=[])  # it needs no settings
    return parser


def _serve_command(showing: argparse.ArgumentParser) -> None:
    parts = showing.add_subparsers(title="part of it", metavar="serve, load")
    _load_command(parts.add_parser("load", help="users of the main backend", description=demo_load.__doc__))
    serving = parts.add_parser("serve", help="one stand-in by itself", description=demo_serve.__doc__)
    serving.add_argument("server", choices=list(SERVE_PORTS), help="which")
    serving.add_argument(
        "--host", default="127.0.0.1", help="where it and its control listen; 0.0.0.0: everywhere"
    )
    serving.add_argument("--port", type=int, metavar="PORT", help="its usual one unless given; 0: any")
    serving.add_argument(
        "--control-port", type=int, default=8009, metavar="PORT", help="8009 unless given; 0: any"
    )
    serving.add_argument(
        "--control-name",
        action="append",
        default=[],
        metavar="NAME",
        help="what a caller may call this machine beside localhost; may be repeated",
    )
    _backend_options(serving.add_argument_group("main_backend", "or by the environment, such as DEMO_MYSQL"))
    serving.set_defaults(command=demo_serve)


def _backend_options(serving: argparse._ArgumentGroup) -> None:
    told = os.environ.get
    for flag, variable, otherwise, about in (
        ("--model-server", "DEMO_MODEL_SERVER", "http://localhost:8001", "the model server's address"),
        ("--asr-ocr-server", "DEMO_ASR_OCR_SERVER", "http://localhost:8002", "the ASR/OCR server's"),
        ("--mysql", "DEMO_MYSQL", "", "HOST or HOST:PORT of the database; none: it does without"),
        ("--mysql-user", "DEMO_MYSQL_USER", "uptime", "its user"),
    ):
        serving.add_argument(flag, default=told(variable) or otherwise, help=f"{about}; or {variable}")
    file = told("DEMO_MYSQL_PASSWORD_FILE")
    serving.add_argument(
        "--mysql-password-file",
        type=Path,
        default=Path(file) if file else None,
        metavar="FILE",
        help="or DEMO_MYSQL_PASSWORD, DEMO_MYSQL_PASSWORD_FILE",
    )
    serving.add_argument("--record", type=Path, metavar="FILE", help="where results of shutdowns last")
    serving.add_argument("--shutdown-timeout", type=float, default=30.0, metavar="SECONDS")
    serving.add_argument("--inherited", type=int, help=argparse.SUPPRESS)  # from the demo to its own process


def _load_command(loading: argparse.ArgumentParser) -> None:
    loading.add_argument("--url", default="http://localhost:8000", help="the main backend's; %(default)s")
    loading.add_argument("--seconds", type=_positive, default=30.0, help="how long; %(default)g")
    loading.add_argument("--rate", type=_positive, default=20.0, help="users a second; %(default)g")
    loading.add_argument("--endless", action="store_true", help="until told to stop, whatever they see")
    loading.add_argument("--pulse", type=Path, metavar="FILE", help="touched as users come, if endless")
    loading.set_defaults(command=demo_load)


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be more than 0")
    return number


def _ledger_commands(parser: argparse.ArgumentParser, settings: _Parser) -> None:
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, command in (("check", ledger_check), ("export", ledger_export), ("import", ledger_import)):
        about = str(command.__doc__)
        each = commands.add_parser(name, help=about, parents=[settings], description=about)
        each.set_defaults(command=command)
        if command is ledger_import:
            text = argparse.FileType(encoding="utf-8")
            each.add_argument(
                "file", type=text, metavar="FILE", help="what export wrote; - is standard input"
            )


def _settings_arguments() -> _Parser:
    settings = _Parser(add_help=False)
    settings.add_argument(
        "--config", type=Path, metavar="FILE", help="settings file (YAML); or UPTIME_CONFIG"
    )
    settings.add_argument("--listen", metavar="HOST:PORT", help="where to answer; or UPTIME_LISTEN")
    settings.add_argument("--ledger", metavar="FILE", help="where the account lasts; or UPTIME_LEDGER")
    settings.add_argument("--log-format", choices=["logfmt", "json"], help="or UPTIME_LOG_FORMAT")
    settings.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], help="or UPTIME_LOG_LEVEL"
    )
    settings.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        type=_assignment,
        help="any setting, such as targets.mysql.host=db; may be repeated",
    )
    return settings


def _assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE, such as targets.mysql.host=db")
    return key, value


def _overrides(arguments: argparse.Namespace) -> Mapping[str, object]:
    named = ("listen", "ledger", "log_format", "log_level")
    given = {name: value for name in named if (value := getattr(arguments, name, None)) is not None}
    return {**given, **dict(arguments.set)}


def _complain(*mistakes: str) -> int:
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    return UNUSABLE


def _leave(number: int, _frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
