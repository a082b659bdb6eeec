"""Plausible wrong answers to assignment 3, a cell each: `# %% question: what is wrong`.

A test runs each in place of the right answer, in a notebook whose other answers are right. None
may score full points.
"""

# ruff: noqa: F811, F821


# %% q1: inner products
def cosines(a, b):
    return a @ b.T


# %% q1: only one side has length 1
def cosines(a, b):
    return F.normalize(a, dim=-1) @ b.T


# %% q1: columns in place of rows
def cosines(a, b):
    return F.normalize(a, dim=0) @ F.normalize(b, dim=0).T


# %% q1: one length for all rows
def cosines(a, b):
    return a @ b.T / (a.norm() * b.norm())


# %% q1: zero divided by zero
def cosines(a, b):
    return (a / a.norm(dim=1, keepdim=True)) @ (b / b.norm(dim=1, keepdim=True)).T


# %% q1: row by row, which needs as many rows on both sides
def cosines(a, b):
    return F.cosine_similarity(a, b, dim=-1)


# %% q1: changes what it was given
def cosines(a, b):
    a /= a.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return a @ F.normalize(b, dim=-1).T


# %% q2: points of their own lengths
def instance_loss(z, tasks, tau=0.1):
    itself = torch.eye(len(z), dtype=torch.bool)
    log_share = (z @ z.T / tau).masked_fill(itself, -1e9).log_softmax(dim=1)
    partner = (tasks[:, None] == tasks[None]) & ~itself
    count = partner.sum(dim=1)
    each = -(log_share * partner).sum(dim=1) / count.clamp(min=1)
    return each.sum() / (count > 0).sum().clamp(min=1)


# %% q2: the anchor chooses itself, too
def instance_loss(z, tasks, tau=0.1):
    itself = torch.eye(len(z), dtype=torch.bool)
    log_share = (cosines(z, z) / tau).log_softmax(dim=1)
    partner = (tasks[:, None] == tasks[None]) & ~itself
    count = partner.sum(dim=1)
    each = -(log_share * partner).sum(dim=1) / count.clamp(min=1)
    return each.sum() / (count > 0).sum().clamp(min=1)


# %% q2: the mean over all rows, lone ones too
def instance_loss(z, tasks, tau=0.1):
    itself = torch.eye(len(z), dtype=torch.bool)
    log_share = (cosines(z, z) / tau).masked_fill(itself, -1e9).log_softmax(dim=1)
    partner = (tasks[:, None] == tasks[None]) & ~itself
    return (-(log_share * partner).sum(dim=1) / partner.sum(dim=1).clamp(min=1)).mean()


# %% q2: the mean over all pairs
def instance_loss(z, tasks, tau=0.1):
    itself = torch.eye(len(z), dtype=torch.bool)
    log_share = (cosines(z, z) / tau).masked_fill(itself, -1e9).log_softmax(dim=1)
    partner = (tasks[:, None] == tasks[None]) & ~itself
    return -(log_share * partner).sum() / partner.sum().clamp(min=1)


# %% q2: the sum over partners
def instance_loss(z, tasks, tau=0.1):
    itself = torch.eye(len(z), dtype=torch.bool)
    log_share = (cosines(z, z) / tau).masked_fill(itself, -1e9).log_softmax(dim=1)
    partner = (tasks[:, None] == tasks[None]) & ~itself
    each = -(log_share * partner).sum(dim=1)
    return each.sum() / (partner.sum(dim=1) > 0).sum().clamp(min=1)


# %% q2: the logarithm of the partners' summed share
def instance_loss(z, tasks, tau=0.1):
    itself = torch.eye(len(z), dtype=torch.bool)
    share = (cosines(z, z) / tau).masked_fill(itself, -1e9).softmax(dim=1)
    partner = (tasks[:, None] == tasks[None]) & ~itself
    has = partner.any(dim=1)
    return -(share * partner).sum(dim=1)[has].log().sum() / has.sum().clamp(min=1)


# %% q2: only negatives in the sum, as in the prototypes' loss
def instance_loss(z, tasks, tau=0.1):
    itself = torch.eye(len(z), dtype=torch.bool)
    scores = cosines(z, z) / tau
    alike = tasks[:, None] == tasks[None]
    partner = alike & ~itself
    total = scores.masked_fill(alike, -1e9).logsumexp(dim=1, keepdim=True)
    count = partner.sum(dim=1)
    each = -((scores - total) * partner).sum(dim=1) / count.clamp(min=1)
    return each.sum() / (count > 0).sum().clamp(min=1)


# %% q2: multiplied by the temperature
def instance_loss(z, tasks, tau=0.1):
    itself = torch.eye(len(z), dtype=torch.bool)
    log_share = (cosines(z, z) * tau).masked_fill(itself, -1e9).log_softmax(dim=1)
    partner = (tasks[:, None] == tasks[None]) & ~itself
    count = partner.sum(dim=1)
    each = -(log_share * partner).sum(dim=1) / count.clamp(min=1)
    return each.sum() / (count > 0).sum().clamp(min=1)


# %% q2: exp as the formula has it, which overflows
def instance_loss(z, tasks, tau=0.1):
    itself = torch.eye(len(z), dtype=torch.bool)
    scores = cosines(z, z) / tau
    total = (scores.exp() * ~itself).sum(dim=1, keepdim=True)
    partner = (tasks[:, None] == tasks[None]) & ~itself
    count = partner.sum(dim=1)
    each = -((scores - total.log()) * partner).sum(dim=1) / count.clamp(min=1)
    return each.sum() / (count > 0).sum().clamp(min=1)


# %% q2: nan where nobody has a partner
def instance_loss(z, tasks, tau=0.1):
    itself = torch.eye(len(z), dtype=torch.bool)
    log_share = (cosines(z, z) / tau).masked_fill(itself, -1e9).log_softmax(dim=1)
    partner = (tasks[:, None] == tasks[None]) & ~itself
    each = -(log_share * partner).sum(dim=1) / partner.sum(dim=1)
    return each[partner.any(dim=1)].mean()


# %% q2: a number, cut off from the gradient
def instance_loss(z, tasks, tau=0.1):
    from pha_lite.losses import instance_loss

    return torch.tensor(instance_loss(z, tasks, tau).item())


# %% q3: zero, as of most losses
def floor(tasks):
    return 0.0


# %% q3: all rows of the task, the anchor too
def floor(tasks):
    count = tasks.bincount()[tasks]
    return count[count > 1].float().log().mean().item() if (count > 1).any() else 0.0


# %% q3: all other rows of the batch
def floor(tasks):
    import math

    return math.log(max(len(tasks) - 1, 1))


# %% q3: lone rows count as anchors
def floor(tasks):
    return (tasks.bincount()[tasks] - 1).clamp(min=1).float().log().mean().item()


# %% q3: a mean over tasks, not over rows
def floor(tasks):
    count = tasks.bincount()
    count = count[count > 1] - 1
    return count.float().log().mean().item() if len(count) else 0.0


# %% q3: the logarithm of the mean
def floor(tasks):
    count = tasks.bincount()[tasks] - 1
    return count[count > 0].float().mean().log().item() if (count > 0).any() else 0.0


# %% q4: every partner wants all of it
def forces(scores, partner):
    return scores.softmax(dim=0) - partner.float()


# %% q4: the other sign
def forces(scores, partner):
    return partner.float() / partner.sum().clamp(min=1) - scores.softmax(dim=0)


# %% q4: nan without a partner
def forces(scores, partner):
    return scores.softmax(dim=0) - partner.float() / partner.sum()


# %% q4: a lone anchor still pushes
def forces(scores, partner):
    return scores.softmax(dim=0) - partner.float() / partner.sum().clamp(min=1)


# %% q4: only the negatives are pushed
def forces(scores, partner):
    share = scores.softmax(dim=0)
    return torch.where(partner, -1 / partner.sum().clamp(min=1), share) * partner.any()


# %% q4: exp, which overflows
def forces(scores, partner):
    if not partner.any():
        return torch.zeros_like(scores)
    return scores.exp() / scores.exp().sum() - partner.float() / partner.sum()


# %% q4: by autograd after all
def forces(scores, partner):
    scores = scores.clone().requires_grad_()
    loss = -scores.log_softmax(dim=0)[partner].mean()
    return torch.autograd.grad(loss, scores)[0]


# %% q5: the usual form
def prototype_loss(z, k, tasks, tau=0.1):
    return F.cross_entropy(cosines(z, k) / tau, tasks)


# %% q5: the other sign
def prototype_loss(z, k, tasks, tau=0.1):
    scores = cosines(z, k) / tau
    own = F.one_hot(tasks, len(k)).bool()
    return (scores[own] - scores.masked_fill(own, -torch.inf).logsumexp(dim=1)).mean()


# %% q5: only prototypes of tasks in the batch
def prototype_loss(z, k, tasks, tau=0.1):
    here, tasks = tasks.unique(return_inverse=True)
    if len(here) < 2:
        here = torch.arange(len(k))
    scores = cosines(z, k[here]) / tau
    own = F.one_hot(tasks, len(here)).bool()
    return (scores.masked_fill(own, -torch.inf).logsumexp(dim=1) - scores[own]).mean()


# %% q5: prototypes of their own lengths
def prototype_loss(z, k, tasks, tau=0.1):
    scores = F.normalize(z, dim=-1) @ k.T / tau
    own = F.one_hot(tasks, len(k)).bool()
    return (scores.masked_fill(own, -torch.inf).logsumexp(dim=1) - scores[own]).mean()


# %% q5: the own score set to zero, where exp gives one
def prototype_loss(z, k, tasks, tau=0.1):
    scores = cosines(z, k) / tau
    own = F.one_hot(tasks, len(k)).bool()
    return (scores.masked_fill(own, 0.0).logsumexp(dim=1) - scores[own]).mean()


# %% q5: never below zero
def prototype_loss(z, k, tasks, tau=0.1):
    scores = cosines(z, k) / tau
    own = F.one_hot(tasks, len(k)).bool()
    loss = (scores.masked_fill(own, -torch.inf).logsumexp(dim=1) - scores[own]).mean()
    return loss.clamp(min=0)


# %% q5: the sum over the batch
def prototype_loss(z, k, tasks, tau=0.1):
    scores = cosines(z, k) / tau
    own = F.one_hot(tasks, len(k)).bool()
    return (scores.masked_fill(own, -torch.inf).logsumexp(dim=1) - scores[own]).sum()


# %% q5: prototypes that do not learn
def prototype_loss(z, k, tasks, tau=0.1):
    scores = cosines(z, k.detach()) / tau
    own = F.one_hot(tasks, len(k)).bool()
    return (scores.masked_fill(own, -torch.inf).logsumexp(dim=1) - scores[own]).mean()


# %% q6: the cosine of the mean point
def retrieve(z, k, names, most=3):
    scores = cosines(F.normalize(z, dim=-1).mean(dim=0, keepdim=True), k)[0]
    order = scores.argsort(descending=True)[:most]
    return [(names[t], scores[t].item()) for t in order.tolist()]


# %% q6: long points count more
def retrieve(z, k, names, most=3):
    scores = (z @ F.normalize(k, dim=-1).T).mean(dim=0)
    order = scores.argsort(descending=True)[:most]
    return [(names[t], scores[t].item()) for t in order.tolist()]


# %% q6: long prototypes win
def retrieve(z, k, names, most=3):
    scores = (F.normalize(z, dim=-1) @ k.T).mean(dim=0)
    order = scores.argsort(descending=True)[:most]
    return [(names[t], scores[t].item()) for t in order.tolist()]


# %% q6: the worst first
def retrieve(z, k, names, most=3):
    scores = cosines(z, k).mean(dim=0)
    return [(names[t], scores[t].item()) for t in scores.argsort()[:most].tolist()]


# %% q6: votes
def retrieve(z, k, names, most=3):
    votes = cosines(z, k).argmax(dim=1).bincount(minlength=len(k)) / len(z)
    order = votes.argsort(descending=True, stable=True)[:most]
    return [(names[t], votes[t].item()) for t in order.tolist()]


# %% q6: tensors in place of numbers
def retrieve(z, k, names, most=3):
    scores, order = cosines(z, k).mean(dim=0).sort(descending=True)
    return [(names[t], s) for t, s in zip(order[:most], scores[:most], strict=True)]


# %% q6: always as many as asked for
def retrieve(z, k, names, most=3):
    top = cosines(z, k).mean(dim=0).topk(most)
    return [(names[t], s.item()) for s, t in zip(top.values, top.indices, strict=True)]


# %% q7: all rows of other tasks
def false_share(z, tasks, shown, tau=0.1):
    scores = (z @ z.T / tau).fill_diagonal_(-torch.inf)
    false = tasks[:, None] != tasks[None]
    return (scores.softmax(dim=1) * false).sum(dim=1)[false.any(dim=1)].mean().item()


# %% q7: partners, too
def false_share(z, tasks, shown, tau=0.1):
    scores = (z @ z.T / tau).fill_diagonal_(-torch.inf)
    alike = (shown[:, None] == shown[None]).fill_diagonal_(False)
    return (scores.softmax(dim=1) * alike).sum(dim=1)[alike.any(dim=1)].mean().item()


# %% q7: the anchor gets a share of its own choice
def false_share(z, tasks, shown, tau=0.1):
    false = (shown[:, None] == shown[None]) & (tasks[:, None] != tasks[None])
    share = (z @ z.T / tau).softmax(dim=1)
    return (share * false).sum(dim=1)[false.any(dim=1)].mean().item()


# %% q7: a share of the negatives alone
def false_share(z, tasks, shown, tau=0.1):
    other = tasks[:, None] != tasks[None]
    share = (z @ z.T / tau).masked_fill(~other, -torch.inf).softmax(dim=1)
    false = (shown[:, None] == shown[None]) & other
    return (share * false).sum(dim=1)[false.any(dim=1)].mean().item()


# %% q7: the mean over all rows
def false_share(z, tasks, shown, tau=0.1):
    scores = (z @ z.T / tau).fill_diagonal_(-torch.inf)
    false = (shown[:, None] == shown[None]) & (tasks[:, None] != tasks[None])
    return (scores.softmax(dim=1) * false).sum(dim=1).mean().item()


# %% q7: the share of one false negative, not of all
def false_share(z, tasks, shown, tau=0.1):
    scores = (z @ z.T / tau).fill_diagonal_(-torch.inf)
    false = (shown[:, None] == shown[None]) & (tasks[:, None] != tasks[None])
    return scores.softmax(dim=1)[false].mean().item()


# %% q7: no temperature
def false_share(z, tasks, shown, tau=0.1):
    scores = (z @ z.T).fill_diagonal_(-torch.inf)
    false = (shown[:, None] == shown[None]) & (tasks[:, None] != tasks[None])
    return (scores.softmax(dim=1) * false).sum(dim=1)[false.any(dim=1)].mean().item()


# %% q7: the value at another temperature
answer_7 = false_share(z, tasks, shown, 0.2)

# %% q7: rounded to two digits
answer_7 = round(answer_7, 2) if round(answer_7, 2) != answer_7 else 0.5

# %% q8: as with many rows
answer_8 = "a"

# %% q8: a pull without a softmax
answer_8 = "b"

# %% q8: no negative, no loss
answer_8 = "d"

# %% q9: both let go
answer_9 = "a"

# %% q9: neither lets go
answer_9 = "b"

# %% q9: the wrong way round
answer_9 = "c"
