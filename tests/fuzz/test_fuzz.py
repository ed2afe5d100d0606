"""A tenth of `make fuzz`."""

from tests.fuzz.run import fuzz


def test_no_request_and_no_file_is_answered_by_an_error_of_ours():
    findings = fuzz(10_000, seed=14)

    assert findings.faults == []
    assert findings.count == 10_000
    assert {200, 202, 400, 401, 404, 413, 415, 422} <= findings.statuses.keys()  # the inputs reach all of it
