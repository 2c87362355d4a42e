"""A compose project on a real engine, driven as a person drives it: by the command line."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DEMO = ("--env-file", ".env.example", "--profile", "demo")
PATIENCE = 300.0
"""Seconds after which a command is given up."""


class CommandFailedError(Exception):
    """A command did not do what it was told; the message ends with what it said."""


def command(*words: str, environ: Mapping[str, str] | None = None) -> str:
    """Return what a command prints.

    Raises:
        CommandFailedError: Its exit code is not 0.

    """
    done = subprocess.run(
        words,
        cwd=ROOT,
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        raise CommandFailedError(
            f"{' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def lines(*words: str) -> Iterator[str]:
    """Yield what a command prints, line by line, as it comes.

    Raises:
        CommandFailedError: Its exit code is not 0.

    """
    said = ""
    with subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            said += line
            yield line.rstrip("\n")
    if process.returncode:
        raise CommandFailedError(f"{' '.join(words)}: exit code {process.returncode}\n{said}")


def this_machine() -> str:
    """Return the address at which containers reach this machine, and nobody from elsewhere does."""
    return command(
        "docker", "network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}"
    ).strip()


@dataclass(frozen=True, slots=True)
class Container:
    """What the engine says of one container, as it is now."""

    known: Mapping[str, Any]

    @property
    def state(self) -> Mapping[str, Any]:
        """Status, health, exit code."""
        state: Mapping[str, Any] = self.known["State"]
        return state

    @property
    def is_healthy(self) -> bool:
        """Whether its health check says so; False where it has none."""
        return bool(self.state["Running"]) and self.state.get("Health", {}).get("Status") == "healthy"

    @property
    def restarts(self) -> int:
        """How often the engine has started it again."""
        return int(self.known["RestartCount"])

    @property
    def program(self) -> int:
        """The process id, on this machine, of the program: the only child of the engine's init."""
        init = self.state["Pid"]
        children = Path(f"/proc/{init}/task/{init}/children").read_text().split()
        return int(children[0])

    def kill(self) -> None:
        """End the program as if it had crashed; a `docker kill` would tell the engine not to start it again."""
        os.kill(self.program, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Stack:
    """One project of the compose file, with everything in it."""

    project: str
    files: Sequence[str]
    environ: Mapping[str, str]

    def compose(self, *words: str) -> str:
        """Return what compose prints.

        Raises:
            CommandFailedError: Its exit code is not 0.

        """
        files = [word for file in self.files for word in ("--file", file)]
        fixed = ("--progress", "quiet", "--project-name", self.project, *DEMO)
        return command("docker", "compose", *fixed, *files, *words, environ=self.environ)

    def services(self) -> list[str]:
        """Return the names of all services."""
        return sorted(self.compose("config", "--services").split())

    def container(self, service: str) -> Container:
        """Return what is known of the container of *service*."""
        name = self.compose("ps", "--all", "--quiet", service).strip()
        (known,) = json.loads(command("docker", "inspect", name))
        return Container(known)

    def containers(self) -> Mapping[str, Container]:
        """Return the containers of all services, by the services' names."""
        return {service: self.container(service) for service in self.services()}

    def left(self) -> Sequence[str]:
        """Return what the engine still has of the project."""
        label = f"label=com.docker.compose.project={self.project}"
        ps = command("docker", "ps", "--all", "--quiet", "--filter", label)
        volumes = command("docker", "volume", "ls", "--quiet", "--filter", label)
        networks = command("docker", "network", "ls", "--quiet", "--filter", label)
        return [*ps.split(), *volumes.split(), *networks.split()]
