from shared.networks import catalog


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
