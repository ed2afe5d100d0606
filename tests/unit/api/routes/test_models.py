import pytest

from shared.interfaces import WeightsFetch, WorkerInfo
from shared.networks import catalog
from shared.settings import Settings


def test_every_network_is_listed_with_its_layers(http):
    for model in http.get("/v1/models").json["models"]:
        layers = http.get(model["layers_url"]).json

        assert model["default_layer"] == layers["default_layer"]
        assert [layer["name"] for layer in layers["layers"]] == [
            layer.name for layer in catalog.MODELS[model["name"]].layers
        ]


def test_an_unknown_network_is_not_found_and_the_nearest_name_is_suggested(http):
    answer = http.get("/v1/models/efficientnet-lite1/layers")

    assert (answer.status_code, answer.json["code"]) == (404, "model_not_found")
    assert "efficientnet-lite0" in answer.json["detail"]


def availabilities(http):
    return {model["name"]: model["availability"] for model in http.get("/v1/models").json["models"]}


def register(world, **about):
    worker = {"name": "w", "models": ("efficientnet-lite0",), "device": "cpu", "job_id": None, "seen_at": 0} | about
    world.store.register_worker(WorkerInfo(**worker), ttl_s=1000)
    world.clock.sleep(2)  # the cached fleet expires


def test_a_network_is_ready_fetchable_or_unavailable(http, world):
    register(world, fetchable=("googlenet",))

    found = availabilities(http)
    presets = {preset["model"]: preset["availability"] for preset in http.get("/v1/presets").json["presets"]}

    assert (found["efficientnet-lite0"], found["googlenet"], found["vgg16"]) == ("ready", "fetchable", "unavailable")
    assert presets == {model: found[model] for model in presets}


def test_without_redis_the_availability_is_unknown(http, world):
    world.store.available = False

    assert set(availabilities(http).values()) == {None}


def test_a_request_to_fetch_reaches_the_workers_and_their_progress_is_shown(http, world):
    register(world, fetchable=("googlenet",))

    answer = http.post("/v1/models/googlenet/fetch")

    assert (answer.status_code, answer.json["availability"], answer.json["fetch"]) == (202, "fetchable", None)
    assert set(world.store.requested_fetches(["googlenet", "vgg16"])) == {"googlenet"}

    register(world, fetchable=("googlenet",), fetch=WeightsFetch(model="googlenet", fetched_bytes=5, total_bytes=10))
    (shown,) = (model["fetch"] for model in http.get("/v1/models").json["models"] if model["name"] == "googlenet")
    assert shown == {"fetched_bytes": 5, "total_bytes": 10, "error": None}


def test_a_ready_network_is_not_requested_again(http, world):
    register(world)

    answer = http.post("/v1/models/efficientnet-lite0/fetch")

    assert (answer.status_code, answer.json["availability"]) == (202, "ready")
    assert not world.store.requested_fetches(["efficientnet-lite0"])


def test_what_no_worker_can_fetch_is_refused(http, world):
    register(world)

    answer = http.post("/v1/models/googlenet/fetch")

    assert (answer.status_code, answer.json["code"]) == (409, "wrong_state")
    assert http.post("/v1/models/unheard-of/fetch").status_code == 404


def test_looks_of_a_served_favorite_network_come_first(http, world):
    register(world, models=("efficientnet-lite0", "inception5h"))

    models = [preset["model"] for preset in http.get("/v1/presets").json["presets"] if preset["kind"] == "look"]

    assert list(dict.fromkeys(models))[:2] == ["inception5h", "efficientnet-lite0"]


class TestWithKeys:
    @pytest.fixture
    def settings(self):
        return Settings(keys="on", admin_key="k" * 24)

    def test_only_the_admin_key_may_fetch(self, http, world):
        register(world, fetchable=("googlenet",))
        _, key = world.services.keyring.create("ann", "")
        admin, owner = ({"Authorization": f"Bearer {token}"} for token in ("k" * 24, key))

        refused = http.post("/v1/models/googlenet/fetch", headers=owner)
        accepted = http.post("/v1/models/googlenet/fetch", headers=admin)

        assert (refused.status_code, accepted.status_code) == (403, 202)
        assert [http.get("/v1/models", headers=who).json["may_fetch"] for who in (admin, owner)] == [True, False]
