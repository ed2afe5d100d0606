import pytest

from api.cli.connection import REFUSED
from shared.settings import Settings


class TestKeys:
    @pytest.fixture
    def settings(self):
        return Settings(keys="on", admin_key="an-admin-key-of-some-length")

    def test_keys_are_created_listed_and_revoked(self, dream, monkeypatch):
        # given
        monkeypatch.setenv("DREAM_KEY", "an-admin-key-of-some-length")

        # when
        key = dream("keys", "create", "ann", "--name", "laptop")[1].strip()
        key_id = key.split("_")[1]

        # then
        assert "laptop" in dream("keys", "list")[1]
        monkeypatch.setenv("DREAM_KEY", key)
        assert dream("list")[0] == 0
        assert dream("keys", "list")[0] == REFUSED
        monkeypatch.setenv("DREAM_KEY", "an-admin-key-of-some-length")
        assert "Revoked" in dream("keys", "revoke", key_id)[1]
        monkeypatch.setenv("DREAM_KEY", key)
        assert dream("list")[0] == REFUSED
