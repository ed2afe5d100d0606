from api.events.slots import Slots


def test_one_owner_can_not_take_every_slot():
    slots = Slots(4, per_owner=2)

    assert [slots.acquire("ann") for _ in range(3)] == [True, True, False]
    assert [slots.acquire("bob") for _ in range(3)] == [True, True, False]
    assert not slots.acquire("cyd")  # all are taken
    slots.release("ann")
    assert slots.acquire("ann")


def test_where_all_callers_are_one_owner_it_may_take_all():
    slots = Slots(3, per_owner=None)

    assert [slots.acquire("local") for _ in range(4)] == [True, True, True, False]
