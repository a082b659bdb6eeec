"""Plausible wrong answers to assignment 2, a cell each: `# %% question: what is wrong`.

A test runs each in place of the right answer, in a notebook whose other answers are right. None
may score full points. One that misses the point of its question says how much it may score.
"""

# ruff: noqa: B905, F811, F821


# %% q1: heads without biases
def hyper_size(layers, d, b, e=64, el=64, hidden=128, out=64):
    trunk = (e + el + 1) * hidden + (hidden + 1) * out + 2 * out
    return layers * el + trunk + out * (2 * d * b + b + d)


# %% q1: no layer norm
def hyper_size(layers, d, b, e=64, el=64, hidden=128, out=64):
    trunk = (e + el + 1) * hidden + (hidden + 1) * out
    return layers * el + trunk + (out + 1) * (2 * d * b + b + d)


# %% q1: no head for the biases
def hyper_size(layers, d, b, e=64, el=64, hidden=128, out=64):
    trunk = (e + el + 1) * hidden + (hidden + 1) * out + 2 * out
    return layers * el + trunk + (out + 1) * 2 * d * b


# %% q1: heads of their own for each layer
def hyper_size(layers, d, b, e=64, el=64, hidden=128, out=64):
    trunk = (e + el + 1) * hidden + (hidden + 1) * out + 2 * out
    return layers * (el + (out + 1) * (2 * d * b + b + d)) + trunk


# %% q1: the trunk reads the task alone
def hyper_size(layers, d, b, e=64, el=64, hidden=128, out=64):
    trunk = (e + 1) * hidden + (hidden + 1) * out + 2 * out
    return layers * el + trunk + (out + 1) * (2 * d * b + b + d)


# %% q1: widths of the release, whatever is asked
def hyper_size(layers, d, b, e=64, el=64, hidden=128, out=64):
    return 64 * layers + 129 * 128 + 129 * 64 + 128 + 65 * (2 * d * b + b + d)


# %% q2: tasks first
def pairs(k, layers):
    shape = len(k), len(layers)
    tasks = k[:, None].expand(*shape, -1)
    return torch.cat([tasks, layers[None].expand(*shape, -1)], -1)


# %% q2: a view in place of a transpose
def pairs(k, layers):
    shape = len(k), len(layers)
    tasks = k[:, None].expand(*shape, -1)
    both = torch.cat([tasks, layers[None].expand(*shape, -1)], -1)
    return both.reshape(len(layers), len(k), -1)


# %% q2: layers first in each vector
def pairs(k, layers):
    shape = len(layers), len(k)
    tasks = k[None].expand(*shape, -1)
    return torch.cat([layers[:, None].expand(*shape, -1), tasks], -1)


# %% q2: detached
def pairs(k, layers):
    return torch.tensor([[[*a.tolist(), *b.tolist()] for a in k] for b in layers])


# %% q2: only where there are as many tasks as layers
def pairs(k, layers):
    return torch.cat([k.expand(len(layers), -1, -1), layers.expand(len(layers), -1, -1)], -1)


# %% q3: no ReLU
def write(net, v):
    x = net.norm(net.second(net.first(v)))
    lead = v.shape[:2]
    return AdapterWeights(
        net.down(x).view(*lead, net.d, net.b),
        net.down_bias(x),
        net.up(x).view(*lead, net.b, net.d),
        net.up_bias(x),
    )


# %% q3: no layer norm
def write(net, v):
    x = net.second(F.relu(net.first(v)))
    lead = v.shape[:2]
    return AdapterWeights(
        net.down(x).view(*lead, net.d, net.b),
        net.down_bias(x),
        net.up(x).view(*lead, net.b, net.d),
        net.up_bias(x),
    )


# %% q3: the numbers read column by column
def write(net, v):
    x = net.norm(net.second(F.relu(net.first(v))))
    lead = v.shape[:2]
    return AdapterWeights(
        net.down(x).view(*lead, net.b, net.d).mT,
        net.down_bias(x),
        net.up(x).view(*lead, net.d, net.b).mT,
        net.up_bias(x),
    )


# %% q3: down and up by each other's head
def write(net, v):
    x = net.norm(net.second(F.relu(net.first(v))))
    lead = v.shape[:2]
    return AdapterWeights(
        net.up(x).view(*lead, net.d, net.b),
        net.down_bias(x),
        net.down(x).view(*lead, net.b, net.d),
        net.up_bias(x),
    )


# %% q3: a ReLU behind the trunk, too
def write(net, v):
    x = F.relu(net.norm(net.second(F.relu(net.first(v)))))
    lead = v.shape[:2]
    return AdapterWeights(
        net.down(x).view(*lead, net.d, net.b),
        net.down_bias(x),
        net.up(x).view(*lead, net.b, net.d),
        net.up_bias(x),
    )


# %% q3: the first layer's adapters in all layers
def write(net, v):
    x = net.norm(net.second(F.relu(net.first(v[:1].expand_as(v)))))
    lead = v.shape[:2]
    return AdapterWeights(
        net.down(x).view(*lead, net.d, net.b),
        net.down_bias(x),
        net.up(x).view(*lead, net.b, net.d),
        net.up_bias(x),
    )


# %% q3: without gradient
def write(net, v):
    with torch.no_grad():
        x = net.norm(net.second(F.relu(net.first(v))))
        lead = v.shape[:2]
        return AdapterWeights(
            net.down(x).view(*lead, net.d, net.b),
            net.down_bias(x),
            net.up(x).view(*lead, net.b, net.d),
            net.up_bias(x),
        )


# %% q3: layers and tasks flattened into one dimension
def write(net, v):
    x = net.norm(net.second(F.relu(net.first(v.flatten(0, 1)))))
    return AdapterWeights(
        net.down(x).view(-1, net.d, net.b),
        net.down_bias(x),
        net.up(x).view(-1, net.b, net.d),
        net.up_bias(x),
    )


# %% q4: the two fans exchanged (at most 1.5)
def start(net, s=1e-3):
    for head, fan in (
        (net.down, net.b),
        (net.up, net.d),
        (net.down_bias, 1),
        (net.up_bias, 1),
    ):
        bound = s * (3 / (head.in_features * fan)) ** 0.5
        nn.init.uniform_(head.weight, -bound, bound)
        nn.init.zeros_(head.bias)


# %% q4: bias heads with the fans of their matrices (at most 1.5)
def start(net, s=1e-3):
    for head, fan in (
        (net.down, net.d),
        (net.up, net.b),
        (net.down_bias, net.d),
        (net.up_bias, net.b),
    ):
        bound = s * (3 / (head.in_features * fan)) ** 0.5
        nn.init.uniform_(head.weight, -bound, bound)
        nn.init.zeros_(head.bias)


# %% q4: PyTorch's own start, times s
def start(net, s=1e-3):
    for head in (net.down, net.up, net.down_bias, net.up_bias):
        head.reset_parameters()
        with torch.no_grad():
            head.weight.mul_(s)
            head.bias.zero_()


# %% q4: the heads' biases drawn, too
def start(net, s=1e-3):
    for head, fan in (
        (net.down, net.d),
        (net.up, net.b),
        (net.down_bias, 1),
        (net.up_bias, 1),
    ):
        bound = s * (3 / (head.in_features * fan)) ** 0.5
        nn.init.uniform_(head.weight, -bound, bound)
        nn.init.uniform_(head.bias, -bound, bound)


# %% q4: normal numbers of the bound's size
def start(net, s=1e-3):
    for head, fan in (
        (net.down, net.d),
        (net.up, net.b),
        (net.down_bias, 1),
        (net.up_bias, 1),
    ):
        nn.init.normal_(head.weight, std=s * (1 / (head.in_features * fan)) ** 0.5)
        nn.init.zeros_(head.bias)


# %% q4: s inside the root
def start(net, s=1e-3):
    for head, fan in (
        (net.down, net.d),
        (net.up, net.b),
        (net.down_bias, 1),
        (net.up_bias, 1),
    ):
        bound = (3 * s / (head.in_features * fan)) ** 0.5
        nn.init.uniform_(head.weight, -bound, bound)
        nn.init.zeros_(head.bias)


# %% q4: always 64 (at most 1.5)
def start(net, s=1e-3):
    for head, fan in (
        (net.down, net.d),
        (net.up, net.b),
        (net.down_bias, 1),
        (net.up_bias, 1),
    ):
        bound = s * (3 / (64 * fan)) ** 0.5
        nn.init.uniform_(head.weight, -bound, bound)
        nn.init.zeros_(head.bias)


# %% q4: the trunk is started like a head
def start(net, s=1e-3):
    for head, fan in (
        (net.down, net.d),
        (net.up, net.b),
        (net.down_bias, 1),
        (net.up_bias, 1),
        (net.first, 1),
        (net.second, 1),
    ):
        bound = s * (3 / (head.in_features * fan)) ** 0.5
        nn.init.uniform_(head.weight, -bound, bound)
        nn.init.zeros_(head.bias)


# %% q4: positive numbers only (at most 1)
def start(net, s=1e-3):
    for head, fan in (
        (net.down, net.d),
        (net.up, net.b),
        (net.down_bias, 1),
        (net.up_bias, 1),
    ):
        nn.init.uniform_(head.weight, 0, s * (3 / (head.in_features * fan)) ** 0.5)
        nn.init.zeros_(head.bias)


# %% q4: zeros
def start(net, s=1e-3):
    for head in (net.down, net.up, net.down_bias, net.up_bias):
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)


# %% q5: prototypes cost nothing
def pays_from(hyper, own, e):
    return hyper // own + 1


# %% q5: equal is enough
def pays_from(hyper, own, e):
    return None if own <= e else -(-hyper // (own - e))


# %% q5: rounded up, so that a tie is enough
def pays_from(hyper, own, e):
    import math

    return None if own <= e else math.ceil(hyper / (own - e))


# %% q5: rounded to the nearest
def pays_from(hyper, own, e):
    return None if own <= e else round(hyper / (own - e) + 0.5)


# %% q5: it always pays some day
def pays_from(hyper, own, e):
    return hyper // max(own - e, 1) + 1


# %% q5: divided by zero
def pays_from(hyper, own, e):
    return hyper // (own - e) + 1


# %% q6: as released (at most 1)
def per_task(make, prototypes, ids, h):
    return per_row(make, prototypes, ids, h)


# %% q6: all trained tasks are written
def per_task(make, prototypes, ids, h):
    out = torch.zeros_like(h)
    for t, w in enumerate(make(prototypes).unbind()):
        out[ids == t] = bottleneck(h[ids == t], w)
    return out


# %% q6: a call for each task (at most 1)
def per_task(make, prototypes, ids, h):
    out = torch.zeros_like(h)
    for t in ids.unique():
        (w,) = make(prototypes[t][None]).unbind()
        out[ids == t] = bottleneck(h[ids == t], w)
    return out


# %% q6: rows stay in the order of their tasks (at most 1.5)
def per_task(make, prototypes, ids, h):
    tasks, sizes = ids.unique(return_counts=True)
    parts = h[ids.argsort(stable=True)].split(sizes.tolist())
    written = make(prototypes[tasks]).unbind()
    return torch.cat([bottleneck(x, w) for x, w in zip(parts, written)])


# %% q6: back by the wrong permutation (at most 1.5)
def per_task(make, prototypes, ids, h):
    tasks, sizes = ids.unique(return_counts=True)
    order = ids.argsort(stable=True)
    parts = h[order].split(sizes.tolist())
    written = make(prototypes[tasks]).unbind()
    return torch.cat([bottleneck(x, w) for x, w in zip(parts, written)])[order]


# %% q6: runs of equal tasks for distinct ones
def per_task(make, prototypes, ids, h):
    tasks, group = ids.unique_consecutive(return_inverse=True)
    out = torch.zeros_like(h)
    for i, w in enumerate(make(prototypes[tasks]).unbind()):
        out[group == i] = bottleneck(h[group == i], w)
    return out


# %% q6: the results are written into h
def per_task(make, prototypes, ids, h):
    tasks, group = ids.unique(return_inverse=True)
    for i, w in enumerate(make(prototypes[tasks]).unbind()):
        h[group == i] = bottleneck(h[group == i], w)
    return h


# %% q6: cut off from the gradient (at most 3.5)
def per_task(make, prototypes, ids, h):
    tasks, group = ids.unique(return_inverse=True)
    out = torch.zeros_like(h)
    for i, w in enumerate(make(prototypes[tasks].detach()).unbind()):
        out[group == i] = bottleneck(h[group == i], w)
    return out


# %% q7: how often the two answers differ
def swap_cost(predict, rows, own, other):
    both = zip(predict(rows["source"], own), predict(rows["source"], other))
    return sum(a != b for a, b in both) / len(rows["source"])


# %% q7: without a sign
def swap_cost(predict, rows, own, other):
    hits = [
        sum(a == b for a, b in zip(predict(rows["source"], used), rows["target"]))
        for used in (own, other)
    ]
    return abs(hits[0] - hits[1]) / len(rows["source"])


# %% q7: the other way round
def swap_cost(predict, rows, own, other):
    hits = [
        sum(a == b for a, b in zip(predict(rows["source"], used), rows["target"]))
        for used in (other, own)
    ]
    return (hits[0] - hits[1]) / len(rows["source"])


# %% q7: in percent
def swap_cost(predict, rows, own, other):
    hits = [
        sum(a == b for a, b in zip(predict(rows["source"], used), rows["target"]))
        for used in (own, other)
    ]
    return 100 * (hits[0] - hits[1]) / len(rows["source"])


# %% q7: the own accuracy taken for perfect
def swap_cost(predict, rows, own, other):
    said = predict(rows["source"], other)
    return 1 - sum(a == b for a, b in zip(said, rows["target"])) / len(said)


# %% q7: relative to the own accuracy
def swap_cost(predict, rows, own, other):
    hits = [
        sum(a == b for a, b in zip(predict(rows["source"], used), rows["target"]))
        for used in (own, other)
    ]
    return (hits[0] - hits[1]) / max(hits[0], 1)


# %% q7: the names in another order
answer_7 = dict(zip(answer_7, sorted(answer_7.values())))

# %% q7: numbers of other rows
answer_7 = {kind: cost - 0.02 for kind, cost in answer_7.items()}

# %% q8: one for each task
answer_8 = "a"

# %% q8: whatever an adapter can be
answer_8 = "c"

# %% q8: the width of the input
answer_8 = "d"

# %% q9: nothing
answer_9 = "a"

# %% q9: heads for each place
answer_9 = "b"

# %% q9: a vector in each layer
answer_9 = "c"
