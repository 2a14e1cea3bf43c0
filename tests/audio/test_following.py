from voicemux.audio.following import MOST, SETTLED, WHILE, DeviceWatch


def told(watch: DeviceWatch, devices: list[str], every: float = 2.0) -> list[str]:
    return [device for i, device in enumerate(devices) if watch.look(i * every, device)]


def test_a_change_is_told_once_when_it_has_settled() -> None:
    assert told(DeviceWatch(), ["a", "a", "b", "b", "b", "b", "a", "a", "a"]) == ["b", "a"]


def test_a_default_that_changes_twice_a_second_is_not_told_before_it_stays() -> None:
    watch = DeviceWatch()
    assert told(watch, ["a", "b"] * 50, every=SETTLED / 2) == []
    watch = DeviceWatch()
    assert told(watch, [*["a", "b"] * 50, *["c"] * 5], every=SETTLED / 2) == ["c"]


def test_a_device_that_is_unplugged_fifty_times_is_told_a_few_times_a_minute() -> None:
    watch = DeviceWatch()
    devices = [each for _ in range(50) for each in ("a", "a", "b", "b")]
    times = len(devices) * 2.0 / WHILE
    assert MOST <= len(told(watch, devices)) <= MOST * (times + 1)
    assert watch.is_busy


def test_what_the_user_has_chosen_is_not_told_again() -> None:
    watch = DeviceWatch()
    watch.look(0.0, "a")
    watch.expect(None)
    assert not watch.look(2.0, "b")
    assert not watch.look(4.0, "b")
    assert not watch.look(6.0, "a")
    assert watch.look(8.0, "a")
