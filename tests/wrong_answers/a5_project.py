"""Plausible wrong answers to assignment 5, a cell each: `# %% question: what is wrong`.

A test runs each in place of the right answer, in a notebook whose other answers are right. None
may score full points.
"""

# ruff: noqa: F811, F821


# %% q1: two arms that have nothing to do with each other
def paired_interval(a, b):
    got = stats.ttest_ind(a, b).confidence_interval()
    return float(np.mean(a) - np.mean(b)), float(got.low), float(got.high)


# %% q1: the normal distribution
def paired_interval(a, b):
    d = np.asarray(a) - np.asarray(b)
    half = 1.96 * d.std(ddof=1) / len(d) ** 0.5
    return float(d.mean()), float(d.mean() - half), float(d.mean() + half)


# %% q1: n in place of n - 1
def paired_interval(a, b):
    d = np.asarray(a) - np.asarray(b)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std() / len(d) ** 0.5
    return float(d.mean()), float(d.mean() - half), float(d.mean() + half)


# %% q1: the spread in place of the standard error
def paired_interval(a, b):
    d = np.asarray(a) - np.asarray(b)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1)
    return float(d.mean()), float(d.mean() - half), float(d.mean() + half)


# %% q1: 95 % on one side
def paired_interval(a, b):
    d = np.asarray(a) - np.asarray(b)
    half = stats.t.ppf(0.95, len(d) - 1) * d.std(ddof=1) / len(d) ** 0.5
    return float(d.mean()), float(d.mean() - half), float(d.mean() + half)


# %% q1: second minus first
def paired_interval(a, b):
    d = np.asarray(b) - np.asarray(a)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / len(d) ** 0.5
    return float(d.mean()), float(d.mean() - half), float(d.mean() + half)


# %% q1: nan without spread
def paired_interval(a, b):
    d = np.asarray(a) - np.asarray(b)
    low, high = stats.t.interval(0.95, len(d) - 1, d.mean(), stats.sem(d))
    return float(d.mean()), float(low), float(high)


# %% q1: the package, which draws with many seeds
def paired_interval(a, b):
    from pha_lite.stats import paired

    return paired(a, b)[:3]


# %% q2: the normal distribution
def seeds_needed(effect, spread):
    return max(2, int(np.ceil((1.96 * spread / effect) ** 2)))


# %% q2: one degree of freedom too many
def seeds_needed(effect, spread):
    n = 2
    while stats.t.ppf(0.975, n) * spread / n**0.5 >= effect:
        n += 1
    return n


# %% q2: one too many
def seeds_needed(effect, spread):
    n = 2
    while stats.t.ppf(0.975, n - 1) * spread / n**0.5 >= effect:
        n += 1
    return n + 1


# %% q2: the whole width
def seeds_needed(effect, spread):
    n = 2
    while 2 * stats.t.ppf(0.975, n - 1) * spread / n**0.5 >= effect:
        n += 1
    return n


# %% q2: begins at three
def seeds_needed(effect, spread):
    n = 3
    while stats.t.ppf(0.975, n - 1) * spread / n**0.5 >= effect:
        n += 1
    return n


# %% q2: no root
def seeds_needed(effect, spread):
    n = 2
    while stats.t.ppf(0.975, n - 1) * spread / n >= effect:
        n += 1
    return n


# %% q3: one pattern
answer_3 = "a"

# %% q3: the usual level
answer_3 = "c"

# %% q3: one of five
answer_3 = "d"

# %% q4: as with one
answer_4 = "a"

# %% q4: two intervals' worth
answer_4 = "b"

# %% q4: a sum of chances
answer_4 = "d"

# %% q6: four seeds, with all that follows from them
record = dict(
    record,
    seeds=seeds[:4],
    first_scores=first_scores[:4],
    second_scores=second_scores[:4],
    interval=paired_interval(first_scores[:4], second_scores[:4]),
)

# %% q6: one seed five times
record = dict(record, seeds=seeds[:1] * 5)

# %% q6: the seeds of everybody
record = dict(record, seeds=[0, 1, 2, 3, 4])

# %% q6: an interval of two arms that have nothing to do with each other
got = stats.ttest_ind(first_scores, second_scores).confidence_interval()
record = dict(record, interval=(interval[0], float(got.low), float(got.high)))

# %% q6: second minus first
record = dict(record, interval=paired_interval(second_scores, first_scores))

# %% q6: more said than measured
record = dict(record, answer="second" if answer == "first" else "first")

# %% q6: yes or no
record = dict(record, answer="yes")

# %% q6: in per cent
record = dict(
    record,
    first_scores=[100 * value for value in first_scores],
    second_scores=[100 * value for value in second_scores],
    interval=tuple(100 * value for value in interval),
)

# %% q6: scores that were made up
made = [value - 0.25 for value in second_scores]
record = dict(record, second_scores=made, interval=paired_interval(first_scores, made))
record["answer"] = said(*record["interval"])


# %% q6: another draw at every call
draws = np.random.default_rng(0)  # by luck a free draw may hit what the record holds


def score(arm, seed):
    return float(draws.random())


# %% q6: the arm makes no difference
right = score


def score(arm, seed):
    return right("one text", seed)


# %% q6: the seed makes no difference
record = dict(
    record,
    first_scores=first_scores[:1] * 5,
    second_scores=second_scores[:1] * 5,
    interval=paired_interval(first_scores[:1] * 5, second_scores[:1] * 5),
)

# %% q6: only the better half of the seeds
best = sorted(zip(first_scores, second_scores, strict=True), key=lambda p: p[1] - p[0])[:3]
record = dict(
    record,
    first_scores=[a for a, _ in best],
    second_scores=[b for _, b in best],
    interval=paired_interval(*zip(*best, strict=True)),
)
