"""What a user is told who cannot have hosts of their own. Where one can: interop/scenarios/test_netns.py."""

from pathlib import Path

import pytest

from interop import netns
from interop.words import Words


def test_without_ip_the_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = netns.why_not()
    assert said is not None
    assert "apt-get install iproute2" in str(said)
    assert "apt-get install iproute2" in Words("zh").render(said)


def test_who_may_not_is_told_to_be_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def forbidden() -> netns.Namespace:
        raise PermissionError(1, "Operation not permitted")

    (tmp_path / "ip").write_text("")
    (tmp_path / "ip").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(netns, "Namespace", forbidden)
    said = netns.why_not()
    assert said is not None
    assert "as root" in str(said)
    assert "root" in Words("zh").render(said)
