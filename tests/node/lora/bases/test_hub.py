"""A model hub that answers something else than models, and the hub client's cache."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub.constants
import pytest

from covey.lora.bases.resolve import BaseFolder, cached_folder, resolve
from covey.lora.errors import BaseModelError

pytestmark = pytest.mark.daemon

NAME = "someone/model"
HTML = b"<html>Sign in to the network</html>"
FILES = ("config.json", "tokenizer.json", "model.safetensors")
COMMIT = "1" * 40


class Hub(ThreadingHTTPServer):
    """Answers `about` to questions about a model, and `files` for its files; a missing file is HTML."""

    daemon_threads = True
    about: bytes = HTML
    files: dict[str, bytes]


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        body = self.server.about
        if "/api/" not in self.path:
            body = self.server.files.get(self.path.rpartition("/")[2], HTML)
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if body == HTML else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hash(body):x}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    server = Hub(("127.0.0.1", 0), _Handler)
    server.files = {}
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)
    monkeypatch.setattr(
        huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", url)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "about",
    [
        pytest.param(HTML, id="html"),
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'{"siblings": 5}', id="other object"),
        pytest.param(b'{"id": "a/b", "sha": 7, "siblings": [{"path": "x"}]}', id="other fields"),
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_answer_that_is_no_hubs_is_named_in_one_line(hub: Hub, about: bytes) -> None:
    hub.about = about
    with pytest.raises(BaseModelError, match=NAME) as caught:
        resolve(NAME)
    assert "\n" not in str(caught.value)
    assert "hub" in str(caught.value)


def describe(*files: str) -> bytes:
    return json.dumps({"id": NAME, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}).encode()


def test_downloaded_base_is_found_in_the_cache_and_a_html_file_is_named(hub: Hub, tiny: BaseFolder) -> None:
    hub.about = describe(*FILES)
    hub.files = {name: (tiny.folder / name).read_bytes() for name in FILES}
    assert cached_folder(NAME) is None
    found = resolve(NAME)
    assert found.digest == tiny.digest
    hub.about = HTML
    assert cached_folder(NAME) == found.folder


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_html_in_place_of_a_file_is_refused_with_the_remedy(hub: Hub, tiny: BaseFolder, file: str) -> None:
    hub.about = describe(*FILES)
    hub.files = {name: (tiny.folder / name).read_bytes() for name in FILES if name != file}
    with pytest.raises(BaseModelError, match=f"{file} .*delete it to download it again"):
        resolve(NAME)


def test_incomplete_download_is_not_in_the_cache(hub: Hub, tiny: BaseFolder) -> None:
    hub.about = describe("config.json", "tokenizer.json")
    hub.files = {name: (tiny.folder / name).read_bytes() for name in FILES}
    with pytest.raises(BaseModelError, match=r"no model\.safetensors"):
        resolve(NAME)
    assert cached_folder(NAME) is None


@pytest.mark.parametrize("name", ["nowhere", "a/b/c", "./a"])
def test_name_of_no_base_is_refused(name: str) -> None:
    with pytest.raises(BaseModelError, match="an existing folder, or a hub name"):
        cached_folder(name)
