"""What is remembered for half a second."""

from __future__ import annotations

from magic_eraser.accounts.short_cache import ShortCache


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_was_put_is_there_for_half_a_second():
    clock = Clock()
    cache = ShortCache(clock=clock)
    cache.put("a", 1, changes=cache.changes)
    clock.now = 0.49
    assert cache.get("a") == 1
    clock.now = 0.5
    assert cache.get("a") is None
    assert len(cache) == 0


def test_what_is_wrong_sooner_goes_sooner():
    clock = Clock()
    cache = ShortCache(clock=clock)
    cache.put("a", 1, changes=0, at_most=0.1)
    clock.now = 0.1
    assert cache.get("a") is None


def test_what_was_read_before_a_change_is_not_kept_after_it():
    cache = ShortCache()
    before = cache.changes
    cache.forget("a")
    cache.put("a", "as it was", changes=before)
    assert cache.get("a") is None
    cache.put("a", "as it is", changes=cache.changes)
    assert cache.get("a") == "as it is"
    cache.forget_all(lambda value: value == "as it is")
    assert cache.get("a") is None


def test_it_never_has_more_than_it_may_and_keeps_what_is_used():
    cache = ShortCache(most=100)
    cache.put("used", 1, changes=0)
    for number in range(1000):
        cache.put(str(number), number, changes=0)
        assert cache.get("used") == 1
        assert len(cache) <= 100
