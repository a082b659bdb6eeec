from otter.test_files import test_case
from pha_lite.check import choice, same
from scipy import stats

VARIANT = 1

OK_FORMAT = False

name = "q6"
points = 6

@test_case(points=0, hidden=False)
def test_form(record):
    texts = 'question prediction first second answer'.split()
    for name in texts:
        assert isinstance(record[name], str), f'{name} must be a text, got {record[name]!r}'
    for name in ('first_scores', 'second_scores'):
        assert isinstance(record[name], list), f'{name} must be a list, got {record[name]!r}'
    got = record['interval']
    assert isinstance(got, tuple | list) and len(got) == 3, f'interval must hold three numbers, as in q1, got {got!r}'
    assert record['first'] != record['second'], 'both arms are the same'
    import json
    try:
        json.dumps(record)
    except TypeError as error:
        raise AssertionError(f'scores and interval must be plain numbers: {error}') from None

@test_case(points=0, hidden=False)
def test_lengths(record):
    for name in ('first_scores', 'second_scores'):
        assert isinstance(record[name], list), f'{name} is no list yet'
        assert len(record[name]) == len(record['seeds']), f"{len(record['seeds'])} seeds and {len(record[name])} {name}: every seed runs both arms"

@test_case(points=0, hidden=False)
def test_spread(record):
    scores = (record['first_scores'], record['second_scores'])
    lists = [arm for arm in scores if isinstance(arm, list)]
    assert any((len(set(arm)) > 1 for arm in lists)), 'no score changes with the seed: does `score` use it, or is every score at its limit? Then choose a harder task.'
