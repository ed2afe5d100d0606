import json

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

    def test_json_is_accepted_after_each_name(self, dream, monkeypatch):
        monkeypatch.setenv("DREAM_KEY", "an-admin-key-of-some-length")

        for arguments in (["--json", "keys", "list"], ["keys", "--json", "list"], ["keys", "list", "--json"]):
            assert json.loads(dream(*arguments)[1]) == {"keys": []}

    def test_refusals_name_the_variable_that_holds_the_key(self, dream, monkeypatch):
        monkeypatch.delenv("DREAM_KEY", raising=False)
        assert "requires an API key: set DREAM_KEY" in dream("list")[2]
        assert dream("submit", "photo.jpg", "photo.jpg")[2].count("DREAM_KEY") == 1

        monkeypatch.setenv("DREAM_KEY", "dream_wrong_key")
        assert "does not accept the API key; check DREAM_KEY" in dream("list")[2]

        monkeypatch.setenv("DREAM_KEY", "an-admin-key-of-some-length")
        monkeypatch.setenv("DREAM_KEY", dream("keys", "create", "ann")[1].strip())
        assert "The key comes from DREAM_KEY" in dream("keys", "list")[2]
