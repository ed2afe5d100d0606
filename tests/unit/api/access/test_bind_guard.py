import pytest

from api.access.bind_guard import refuse_undecided
from shared.errors import InvalidSettings
from shared.settings import Settings


@pytest.mark.parametrize("address", [("127.0.0.1", 80), ("localhost", 80), ("::1", 80), "/run/dream.sock"])
def test_local_addresses_need_no_decision_about_keys(address):
    refuse_undecided([address], Settings())


@pytest.mark.parametrize("address", [("0.0.0.0", 80), ("::", 80), ("192.168.1.7", 80), ("dreams.example", 80), 3])
def test_a_public_address_needs_a_decision_about_keys(address):
    with pytest.raises(InvalidSettings, match="DREAM_KEYS=on"):
        refuse_undecided([("127.0.0.1", 80), address], Settings())
    for choice in ("on", "off"):
        refuse_undecided([address], Settings(keys=choice))
