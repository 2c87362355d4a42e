"""Which path answers what, to whom, and with which headers."""

import gzip
import json
from collections.abc import Callable

import httpx
import pytest

from support.situations import Scene
from uptime_exporter.outcome import Reason
from uptime_exporter.reliability.answer import takes_gzip
from uptime_exporter.settings import Secret
from uptime_exporter.web import create_app
from uptime_exporter.web.routes import GUIDE

RESET = "/reliability/circuit-breaker/model_server/reset"


def client(scene: Scene, *, peer: str = "127.0.0.1", loopback_only: bool = True) -> httpx.AsyncClient:
    """Return a client that sits at the exporter's own machine."""
    app = create_app(scene.backend(loopback_only=loopback_only))
    transport = httpx.ASGITransport(app, client=(peer, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:10999")


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/health", "application/json"),
        ("/reliability", "application/json"),
        ("/-/healthy", "text/plain; charset=utf-8"),
        ("/-/ready", "text/plain; charset=utf-8"),
        ("/metrics", "text/plain; asked=*/*"),
    ],
)
async def test_every_route_answers_and_keeps_browsers_from_harm(path: str, content_type: str) -> None:
    """Live data is never cached, never framed, never guessed at."""
    async with client(Scene()) as http:
        answer = await http.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == content_type
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["date"] == "Thu, 01 Jan 2026 13:00:00 GMT"


async def test_the_page_allows_its_own_style_and_nothing_else() -> None:
    """The policy names the style by its hash; there is no script to allow."""
    async with client(Scene()) as http:
        policy = (await http.get("/")).headers["content-security-policy"]

    assert "style-src 'sha256-" in policy
    assert "script" not in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["/", "/health", "/reliability", "/metrics", "/-/healthy", "/-/ready"])
async def test_targets_that_are_down_are_no_fault_of_the_exporter(path: str) -> None:
    """A container health check must not restart the monitor because the monitored is down."""
    scene = Scene()
    for name in scene.monitor.watches:
        scene.past(name).beat(Reason.CONNECT, "refused")

    async with client(scene) as http:
        assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/health", 503), ("/-/healthy", 503), ("/-/ready", 503), ("/metrics", 200)],
)
async def test_a_stopped_beat_is_told(path: str, status: int) -> None:
    """Health checks fail with the reason; what can still be read stays readable."""
    scene = Scene()
    scene.monitor.stopped = ["mysql"]

    async with client(scene) as http:
        answer = await http.get(path)

    assert answer.status_code == status
    assert path == "/metrics" or "has stopped probing mysql" in answer.text


async def test_metrics_pass_the_accept_header_on() -> None:
    """The renderer chooses the format, and caches are told by what."""
    async with client(Scene()) as http:
        answer = await http.get(
            "/metrics", headers=[("Accept", "application/openmetrics-text"), ("Accept", "*/*")]
        )

    assert answer.headers["content-type"] == "text/plain; asked=application/openmetrics-text, */*"
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert answer.text == "uptime_target_up 1\n"


@pytest.mark.parametrize("length", [10, 1_000_000])
@pytest.mark.parametrize("path", ["/metrics", "/"])
async def test_answers_are_compressed_where_the_client_takes_it(path: str, length: int) -> None:
    """Small ones at once, large ones beside the event loop; both come out whole."""
    scene = Scene()
    scene.exposition = b"x" * length
    async with client(scene) as http:
        plain = await http.get(path, headers={"Accept-Encoding": "identity"})
        async with http.stream("GET", path, headers={"Accept-Encoding": "br, gzip"}) as packed:
            raw = b"".join([part async for part in packed.aiter_raw()])

    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["content-length"] == str(len(raw))
    assert gzip.decompress(raw) == plain.content
    assert raw[4:8] == bytes(4), "the same answer is the same bytes, whatever the time"


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5", True),
        ("gzip; q=1.0", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip; q = 0", False),
        ("identity", False),
        ("x-gzipped", False),
    ],
)
def test_gzip_is_taken_by_whoever_says_so(header: str, *, takes: bool) -> None:
    """A weight of zero is a no."""
    assert takes_gzip([header]) is takes


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/metrics", "GET, HEAD"),
        ("PUT", "/health", "GET, HEAD"),
        ("GET", "/-/reload", "POST, PUT"),
        ("HEAD", "/-/reload", "POST, PUT"),
        ("GET", RESET, "POST"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(method: str, path: str, allowed: str) -> None:
    """405 with Allow, and nothing happens."""
    scene = Scene()
    async with client(scene) as http:
        answer = await http.request(method, path)

    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    assert scene.reloads == 0


@pytest.mark.parametrize(
    "path", ["/nowhere", "/metrics/", "/-/", "/reliability/circuit-breaker//reset", "/-/quit"]
)
async def test_an_unknown_path_is_shown_the_known_ones(path: str) -> None:
    """A typing error ends in a list of routes, not in a redirect."""
    async with client(Scene()) as http:
        answer = await http.get(path)

    assert answer.status_code == 404
    assert answer.text == GUIDE
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_reset_closes_the_circuit_and_answers_as_the_backend_does() -> None:
    """Success, a message and the circuit as it is now."""
    scene = Scene()
    for _ in range(5):
        scene.past("model_server").beat(Reason.CONNECT, "refused")
    assert scene.monitor.watches["model_server"].circuit.state.name == "open"

    async with client(scene) as http:
        answer = await http.post(RESET)

    said = answer.json()
    assert answer.status_code == 200
    assert (said["success"], said["message"]) == (True, "Circuit model_server is closed")
    assert (said["status"]["name"], said["status"]["state"], said["status"]["failure_count"]) == (
        "model_server",
        "closed",
        0,
    )


async def test_a_reset_of_an_unknown_circuit_names_the_known_ones() -> None:
    """Whoever mistypes at night sees the right name at once."""
    async with client(Scene()) as http:
        answer = await http.post("/reliability/circuit-breaker/model-server/reset")

    assert answer.status_code == 404
    assert answer.json() == {
        "success": False,
        "message": "There is no circuit model-server; there are: model_server, asr_ocr_server, mysql",
        "known": ["model_server", "asr_ocr_server", "mysql"],
    }


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_reload_reads_the_settings_again(method: str) -> None:
    """With either method that Prometheus takes."""
    scene = Scene()
    async with client(scene) as http:
        answer = await http.request(method, "/-/reload")

    assert (answer.status_code, scene.reloads) == (200, 1)


async def test_a_reload_of_bad_settings_says_every_mistake() -> None:
    """500 as from Prometheus, with what to mend, and that nothing was changed."""
    scene = Scene()
    scene.mistakes = ["uptime.yaml: targets.a.url: missing", "uptime.yaml: intervall: unknown key"]
    async with client(scene) as http:
        answer = await http.post("/-/reload")

    assert answer.status_code == 500
    assert answer.text == (
        "The settings cannot be used; nothing was changed.\n"
        "uptime.yaml: targets.a.url: missing\n"
        "uptime.yaml: intervall: unknown key\n"
    )


@pytest.mark.parametrize(
    ("method", "query", "status", "drills"),
    [
        ("POST", "", 200, [900.0]),
        ("POST", "?seconds=60", 200, [60.0]),
        ("POST", "?seconds=inf", 200, [7200.0]),
        ("DELETE", "", 200, [0.0]),
        ("POST", "?seconds=0", 400, []),
        ("POST", "?seconds=nan", 400, []),
        ("POST", "?seconds=soon", 400, []),
    ],
)
async def test_a_drill_is_begun_and_ended(method: str, query: str, status: int, drills: list[float]) -> None:
    """For a quarter of an hour unless it says otherwise, and two hours at most."""
    scene = Scene()
    async with client(scene) as http:
        answer = await http.request(method, f"/-/drill{query}")

    assert (answer.status_code, scene.drills) == (status, drills)
    assert answer.json()["success"] is (status == 200)


async def test_a_drill_whose_name_is_taken_is_refused() -> None:
    """It says what to do."""
    scene = Scene()
    scene.mistakes = ["targets.drill: is needed for the time of a drill; call yours otherwise"]
    async with client(scene) as http:
        answer = await http.post("/-/drill")

    assert (answer.status_code, answer.json()["message"]) == (409, scene.mistakes[0])


@pytest.mark.parametrize(
    "path", [RESET, "/reliability/circuit-breaker/nobody/reset", "/-/reload", "/-/drill"]
)
@pytest.mark.parametrize(
    ("open_door", "status"),
    [
        (lambda scene: client(scene, loopback_only=False), 403),
        (lambda scene: client(scene, peer="203.0.113.9"), 403),
        (lambda scene: client(with_token(scene)), 401),
    ],
    ids=["open listener", "foreign peer", "no token shown"],
)
async def test_strangers_change_nothing_and_learn_nothing(
    path: str, open_door: Callable[[Scene], httpx.AsyncClient], status: int
) -> None:
    """The same refusal for a circuit that exists and one that doesn't."""
    scene = Scene()
    scene.past("model_server").beat(Reason.CONNECT, "refused")
    async with open_door(scene) as http:
        answer = await http.post(path)

    assert answer.status_code == status
    assert answer.json()["message"].startswith("refused: ")
    assert (scene.reloads, scene.drills) == (0, [])
    assert scene.monitor.watches["model_server"].circuit.failures == 1


def with_token(scene: Scene) -> Scene:
    scene.token = Secret("tok")
    return scene


async def test_the_token_opens_from_anywhere() -> None:
    """It is asked for anew at each request, as a reload may change it."""
    scene = with_token(Scene())
    shown = {"Authorization": "Bearer tok"}
    async with client(scene, peer="203.0.113.9", loopback_only=False) as http:
        assert (await http.post("/-/reload", headers=shown)).status_code == 200
        scene.token = Secret("another")
        assert (await http.post("/-/reload", headers=shown)).status_code == 403

    assert scene.reloads == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/health"),
        ("GET", "/metrics"),
        ("POST", RESET),
        ("GET", "/nowhere"),
        ("POST", "/"),
    ],
)
async def test_while_draining_everything_is_503(method: str, path: str) -> None:
    """Page and health still say what is going on; nothing is done any more."""
    scene = Scene()
    async with client(scene) as http:
        scene.drain.begin()
        answer = await http.request(method, path)

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"
    assert answer.headers["connection"] == "close"
    assert answer.headers["cache-control"] == "no-store"
    assert "shutting down" in answer.text


async def test_what_a_target_says_survives_json() -> None:
    """Half a surrogate pair and a control character cost nobody the answer."""
    scene = Scene()
    scene.past("mysql").beat(Reason.QUERY, "a\ud800\x00</script>\u202e")
    async with client(scene) as http:
        said = json.loads((await http.get("/health")).content)

    assert (
        said["reliability"]["health_monitor"]["checks"]["database"]["detail"] == "a\ud800\x00</script>\u202e"
    )
