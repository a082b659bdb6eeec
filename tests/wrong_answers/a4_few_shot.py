"""Plausible wrong answers to assignment 4, a cell each: `# %% question: what is wrong`.

A test runs each in place of the right answer, in a notebook whose other answers are right. None
may score full points. One that misses the point of its question says how much it may score.
"""

# ruff: noqa: B905, F811, F821


# %% q1: not balanced (at most 2)
def draw_episode(answers, tests, k, limit, seed):
    few = np.random.default_rng(seed).permutation(len(answers))[:k].tolist()
    return few, np.random.default_rng(0).permutation(tests)[:limit].tolist()


# %% q1: k of each class
def draw_episode(answers, tests, k, limit, seed):
    order, few = np.random.default_rng(seed).permutation(len(answers)).tolist(), []
    for word in sorted(set(answers)):
        few += [row for row in order if answers[row] == word][:k]
    return few, np.random.default_rng(0).permutation(tests)[:limit].tolist()


# %% q1: a share of k for each class, rounded down
def draw_episode(answers, tests, k, limit, seed):
    order, few, words = np.random.default_rng(seed).permutation(len(answers)), [], set(answers)
    for word in sorted(words):
        few += [row for row in order.tolist() if answers[row] == word][: k // len(words)]
    return few, np.random.default_rng(0).permutation(tests)[:limit].tolist()


# %% q1: not nested, for each k draws anew
def draw_episode(answers, tests, k, limit, seed):
    lots, few, words = np.random.default_rng([seed, k]), [], sorted(set(answers))
    for i, word in enumerate(words):
        rows = [row for row, answer in enumerate(answers) if answer == word]
        share = k // len(words) + (i < k % len(words))
        few += lots.choice(rows, size=share, replace=False).tolist()
    return few, np.random.default_rng(0).permutation(tests)[:limit].tolist()


# %% q1: one row may come twice
def draw_episode(answers, tests, k, limit, seed):
    lots, few, words = np.random.default_rng(seed), [], sorted(set(answers))
    for i in range(k):
        rows = [row for row, answer in enumerate(answers) if answer == words[i % len(words)]]
        few.append(int(lots.choice(rows)))
    return few, np.random.default_rng(0).permutation(tests)[:limit].tolist()


# %% q1: query rows are drawn with the seed
def draw_episode(answers, tests, k, limit, seed):
    lots, turns, seen = np.random.default_rng(seed), [], {}
    for row in lots.permutation(len(answers)).tolist():
        seen[answers[row]] = seen.get(answers[row], 0) + 1
        turns.append((seen[answers[row]], len(turns), row))
    return [row for _, _, row in sorted(turns)[:k]], lots.permutation(tests)[:limit].tolist()


# %% q1: the first rows, whatever the seed
def draw_episode(answers, tests, k, limit, seed):
    turns, seen = [], {}
    for row, answer in enumerate(answers):
        seen[answer] = seen.get(answer, 0) + 1
        turns.append((seen[answer], row))
    return [row for _, row in sorted(turns)[:k]], list(range(limit))


# %% q1: no seed is set
def draw_episode(answers, tests, k, limit, seed):
    turns, seen = [], {}
    for row in np.random.permutation(len(answers)).tolist():
        seen[answers[row]] = seen.get(answers[row], 0) + 1
        turns.append((seen[answers[row]], len(turns), row))
    return [row for _, _, row in sorted(turns)[:k]], list(range(limit))


# %% q2: the inner product
def prototype_scores(z, prototypes):
    return (z @ prototypes.T).mean(dim=0)


# %% q2: prototypes keep their lengths
def prototype_scores(z, prototypes):
    return (F.normalize(z, dim=1) @ prototypes.T).mean(dim=0)


# %% q2: the cosine of the mean point
def prototype_scores(z, prototypes):
    return F.cosine_similarity(z.mean(dim=0, keepdim=True), prototypes)


# %% q2: normalised along the wrong dimension
def prototype_scores(z, prototypes):
    return (F.normalize(z, dim=0) @ F.normalize(prototypes, dim=0).T).mean(dim=0)


# %% q2: votes
def prototype_scores(z, prototypes):
    cosines = F.normalize(z, dim=1) @ F.normalize(prototypes, dim=1).T
    return cosines.argmax(dim=1).bincount(minlength=len(prototypes)) / len(z)


# %% q2: the mean over prototypes
def prototype_scores(z, prototypes):
    return (F.normalize(z, dim=1) @ F.normalize(prototypes, dim=1).T).mean(dim=1)


# %% q2: prototypes divided in place
def prototype_scores(z, prototypes):
    prototypes /= prototypes.norm(dim=1, keepdim=True)
    return (F.normalize(z, dim=1) @ prototypes.T).mean(dim=0)


# %% q3: the seed alone
def random_start(task, known, seed):
    return known[int(np.random.default_rng(seed).integers(len(known)))]


# %% q3: counted off by a sum of letters (at most 1.5)
def random_start(task, known, seed):
    return known[(sum(task.encode()) + seed) % len(known)]


# %% q3: the length of the name
def random_start(task, known, seed):
    return known[int(np.random.default_rng(seed + len(task)).integers(len(known)))]


# %% q3: the global generator is seeded
def random_start(task, known, seed):
    np.random.seed(seed + sum(task.encode()))
    return known[np.random.randint(len(known))]


# %% q3: torch's generator is used as it is
def random_start(task, known, seed):
    return known[int(torch.randint(len(known), (1,)))]


# %% q3: Python's hash
def random_start(task, known, seed):
    return known[int(np.random.default_rng([seed, abs(hash(task))]).integers(len(known)))]


# %% q3: only wrong ones
def random_start(task, known, seed):
    rule = task.split("/")[0]
    rest = [name for name in known if name.split("/")[0] != rule]
    return rest[int(np.random.default_rng([seed, *task.encode()]).integers(len(rest)))]


# %% q3: never the last one
def random_start(task, known, seed):
    return known[int(np.random.default_rng([seed, *task.encode()]).integers(len(known) - 1))]


# %% q4: plain gradient descent
def tune(loss, start, steps, lr):
    v = start.detach().clone()
    for _ in range(steps):
        v.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(v), [v])
        v = v.detach() - lr * gradient
    return v.detach()


# %% q4: AdamW's own weight decay
def tune(loss, start, steps, lr):
    v = start.detach().clone().requires_grad_()
    optimizer = torch.optim.AdamW([v], lr=lr)
    for _ in range(steps):
        (v.grad,) = torch.autograd.grad(loss(v), [v])
        nn.utils.clip_grad_norm_([v], 1.0)
        optimizer.step()
    return v.detach()


# %% q4: gradients add up
def tune(loss, start, steps, lr):
    v = start.detach().clone().requires_grad_()
    optimizer = torch.optim.AdamW([v], lr=lr, weight_decay=0.0)
    for _ in range(steps):
        loss(v).backward(inputs=[v])
        nn.utils.clip_grad_norm_([v], 1.0)
        optimizer.step()
    return v.detach()


# %% q4: no clipping
def tune(loss, start, steps, lr):
    v = start.detach().clone().requires_grad_()
    optimizer = torch.optim.AdamW([v], lr=lr, weight_decay=0.0)
    for _ in range(steps):
        (v.grad,) = torch.autograd.grad(loss(v), [v])
        optimizer.step()
    return v.detach()


# %% q4: every gradient is made as long as 1
def tune(loss, start, steps, lr):
    v = start.detach().clone().requires_grad_()
    optimizer = torch.optim.AdamW([v], lr=lr, weight_decay=0.0)
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(loss(v), [v])
        v.grad = gradient / gradient.norm()
        optimizer.step()
    return v.detach()


# %% q4: a step too many
def tune(loss, start, steps, lr):
    v = start.detach().clone().requires_grad_()
    optimizer = torch.optim.AdamW([v], lr=lr, weight_decay=0.0)
    for _ in range(steps + 1):
        (v.grad,) = torch.autograd.grad(loss(v), [v])
        nn.utils.clip_grad_norm_([v], 1.0)
        optimizer.step()
    return v.detach()


# %% q4: a new optimiser for every step
def tune(loss, start, steps, lr):
    v = start.detach().clone().requires_grad_()
    for _ in range(steps):
        optimizer = torch.optim.AdamW([v], lr=lr, weight_decay=0.0)
        (v.grad,) = torch.autograd.grad(loss(v), [v])
        nn.utils.clip_grad_norm_([v], 1.0)
        optimizer.step()
    return v.detach()


# %% q4: start is tuned itself
def tune(loss, start, steps, lr):
    v = start.detach().requires_grad_()
    optimizer = torch.optim.AdamW([v], lr=lr, weight_decay=0.0)
    for _ in range(steps):
        (v.grad,) = torch.autograd.grad(loss(v), [v])
        nn.utils.clip_grad_norm_([v], 1.0)
        optimizer.step()
    return v.detach()


# %% q4: backward leaves gradients everywhere
def tune(loss, start, steps, lr):
    v = start.detach().clone().requires_grad_()
    optimizer = torch.optim.AdamW([v], lr=lr, weight_decay=0.0)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(v).backward()
        nn.utils.clip_grad_norm_([v], 1.0)
        optimizer.step()
    return v.detach()


# %% q4: not cut off
def tune(loss, start, steps, lr):
    v = start.detach().clone().requires_grad_()
    optimizer = torch.optim.AdamW([v], lr=lr, weight_decay=0.0)
    for _ in range(steps):
        (v.grad,) = torch.autograd.grad(loss(v), [v])
        nn.utils.clip_grad_norm_([v], 1.0)
        optimizer.step()
    return v


# %% q5: all rows of the start (at most 1)
def settings(rows, start):
    found = {}
    for row in rows:
        if row["start"] == start:
            found.setdefault((row["rate"], row["steps"]), []).append(row["score"])
    return max(found, key=lambda pair: np.mean(found[pair]))


# %% q5: the garden's test rows, too (at most 1)
def settings(rows, start):
    found = {}
    for row in rows:
        if row["start"] == start and row["task"].endswith("/garden"):
            found.setdefault((row["rate"], row["steps"]), []).append(row["score"])
    return max(found, key=lambda pair: np.mean(found[pair]))


# %% q5: the museum's validation rows, too (at most 1)
def settings(rows, start):
    found = {}
    for row in rows:
        if row["start"] == start and row["split"] == "validation":
            found.setdefault((row["rate"], row["steps"]), []).append(row["score"])
    return max(found, key=lambda pair: np.mean(found[pair]))


# %% q5: trained tasks, too (at most 1)
def settings(rows, start):
    found = {}
    for row in rows:
        if row["start"] == start and row["split"] == "validation":
            if not row["task"].endswith("/museum"):
                found.setdefault((row["rate"], row["steps"]), []).append(row["score"])
    return max(found, key=lambda pair: np.mean(found[pair]))


# %% q5: the best single row
def settings(rows, start):
    fair = [
        row
        for row in rows
        if row["start"] == start
        and row["split"] == "validation"
        and row["task"].endswith("/garden")
    ]
    best = max(fair, key=lambda row: row["score"])
    return best["rate"], best["steps"]


# %% q5: a sum in place of a mean
def settings(rows, start):
    found = {}
    for row in rows:
        fair = row["split"] == "validation" and row["task"].endswith("/garden")
        if fair and row["start"] == start:
            found.setdefault((row["rate"], row["steps"]), []).append(row["score"])
    return max(found, key=lambda pair: sum(found[pair]))


# %% q5: one choice for all starts
def settings(rows, start):
    found = {}
    for row in rows:
        if row["split"] == "validation" and row["task"].endswith("/garden"):
            found.setdefault((row["rate"], row["steps"]), []).append(row["score"])
    return max(found, key=lambda pair: np.mean(found[pair]))


# %% q6: draws as if they were tasks
def compare(rows, a, b, what):
    score = {(r["task"], r["draw"], r["start"]): r[what] for r in rows}
    gaps = [
        value - score[task, draw, b]
        for (task, draw, start), value in score.items()
        if start == a and (task, draw, b) in score
    ]
    return interval(gaps)


# %% q6: not paired
def compare(rows, a, b, what):
    one = interval([r[what] for r in rows if r["start"] == a])
    two = interval([r[what] for r in rows if r["start"] == b])
    return one.mean - two.mean, one.low - two.high, one.high - two.low


# %% q6: paired by their order in the list
def compare(rows, a, b, what):
    one = [r for r in rows if r["start"] == a]
    two = [r for r in rows if r["start"] == b]
    gaps = {}
    for x, y in zip(one, two):
        gaps.setdefault(x["task"], []).append(x[what] - y[what])
    return interval([np.mean(each) for each in gaps.values()])


# %% q6: 1.96 standard errors
def compare(rows, a, b, what):
    score = {(r["task"], r["draw"], r["start"]): r[what] for r in rows}
    gaps = {}
    for (task, draw, start), value in score.items():
        if start == a and (task, draw, b) in score:
            gaps.setdefault(task, []).append(value - score[task, draw, b])
    each = np.array([np.mean(g) for g in gaps.values()])
    reach = 1.96 * each.std(ddof=1) / len(each) ** 0.5
    return each.mean(), each.mean() - reach, each.mean() + reach


# %% q6: the mean of each start first, with its unpaired rows
def compare(rows, a, b, what):
    means = {}
    for r in rows:
        means.setdefault((r["task"], r["start"]), []).append(r[what])
    gaps = [
        np.mean(found) - np.mean(means[task, b])
        for (task, start), found in means.items()
        if start == a and (task, b) in means
    ]
    return interval(gaps)


# %% q6: always the column before
def compare(rows, a, b, what):
    score = {(r["task"], r["draw"], r["start"]): r["before"] for r in rows}
    gaps = {}
    for (task, draw, start), value in score.items():
        if start == a and (task, draw, b) in score:
            gaps.setdefault(task, []).append(value - score[task, draw, b])
    return interval([np.mean(each) for each in gaps.values()])


# %% q6: a missing partner counts as zero
def compare(rows, a, b, what):
    score = {(r["task"], r["draw"], r["start"]): r[what] for r in rows}
    gaps = {}
    for task, draw, _ in score:
        gap = score.get((task, draw, a), 0.0) - score.get((task, draw, b), 0.0)
        gaps.setdefault(task, []).append(gap)
    return interval([np.mean(each) for each in gaps.values()])


# %% q7: a leak missed
answer_7 = "bcf"

# %% q7: leaving tasks out early taken for a leak
answer_7 = "bcfgh"

# %% q7: only tuning
answer_7 = "b"

# %% q7: everything
answer_7 = "abcdefgh"

# %% q7: the fair ones
answer_7 = "adeg"

# %% q8: the first draw twice
first = {(row["task"], row["start"]): row for row in table if row["draw"] == 0}
table = [{**first[row["task"], row["start"]], "draw": row["draw"]} for row in table]

# %% q8: the examples of draw 0 in both draws (at most 3)
first = {row["task"]: row for row in table if (row["draw"], row["start"]) == (0, "mean")}
table = [{**first[r["task"]], "draw": r["draw"]} if r["start"] == "mean" else r for r in table]

# %% q8: tuned on the query rows (at most 3)
table = [dict(row) for row in table]
for row in table:
    task, draw, start = row["task"], row["draw"], row["start"]
    if start == "random" and (task, draw) in (("time/museum", 0), ("acceptability/museum", 1)):
        query = read(episode(suite[task], 4, seed=draw, limit=24), "test")
        v = prototypes[known.index(random_start(task, known, draw))]
        row["after"] = accuracy(tune(loss_on(query), v, STEPS, RATE), query)

# %% q8: the mean of prototypes of length 1
mean_start = F.normalize(prototypes, dim=1).mean(dim=0)

# %% q8: after in place of before
table = [{**row, "before": row["after"]} for row in table]

# %% q8: nothing was tuned
table = [{**row, "after": row["before"]} for row in table]

# %% q8: random and mean exchanged
other = {"random": "mean", "mean": "random"}
table = [{**row, "start": other.get(row["start"], row["start"])} for row in table]

# %% q8: the difference of the other pair
answer_8 = {w: compare(table, "retrieved", "mean", w) for w in ("before", "after")}

# %% q8: before and after exchanged
answer_8 = {"before": answer_8["after"], "after": answer_8["before"]}

# %% q9: a question of how many
answer_9 = "a"

# %% q9: a question of the temperature
answer_9 = "b"

# %% q9: equal prototypes
answer_9 = "d"
