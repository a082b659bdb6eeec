"""Plausible wrong answers to assignment 1, a cell each: `# %% question: what is wrong`.

A test runs each in place of the right answer, in a notebook whose other answers are right. None
may score full points.
"""

# ruff: noqa: F811, F821


# %% q1: one matrix
def adapter_size(d, b):
    return d * b + b + d


# %% q1: no biases
def adapter_size(d, b):
    return 2 * d * b


# %% q1: both biases as wide as the bottleneck
def adapter_size(d, b):
    return 2 * d * b + 2 * b


# %% q1: the layer norm belongs to it
def adapter_size(d, b):
    return 2 * d * b + b + 2 * d


# %% q2: a residual inside
def bottleneck(x, down, down_bias, up, up_bias):
    return x + F.relu(x @ down + down_bias) @ up + up_bias


# %% q2: no ReLU
def bottleneck(x, down, down_bias, up, up_bias):
    return (x @ down + down_bias) @ up + up_bias


# %% q2: the first bias behind the ReLU
def bottleneck(x, down, down_bias, up, up_bias):
    return (F.relu(x @ down) + down_bias) @ up + up_bias


# %% q2: a ReLU at the end, too
def bottleneck(x, down, down_bias, up, up_bias):
    return F.relu(F.relu(x @ down + down_bias) @ up + up_bias)


# %% q2: weights as nn.Linear keeps them, transposed
def bottleneck(x, down, down_bias, up, up_bias):
    return F.linear(F.relu(F.linear(x, down, down_bias)), up, up_bias)


# %% q2: transposed wherever it fits
def bottleneck(x, down, down_bias, up, up_bias):
    if down.shape[0] == down.shape[1]:
        down = down.T
    return F.relu(x @ down + down_bias) @ up + up_bias


# %% q2: another nonlinearity
def bottleneck(x, down, down_bias, up, up_bias):
    return F.gelu(x @ down + down_bias) @ up + up_bias


# %% q2: cut off from the gradient
def bottleneck(x, down, down_bias, up, up_bias):
    with torch.no_grad():
        return F.relu(x @ down + down_bias) @ up + up_bias


# %% q2: no answer
def bottleneck(x, down, down_bias, up, up_bias): ...


# %% q3: the parallel adapter reads h
def parallel(h, norm, ffn, adapter):
    return h + ffn(norm(h)) + adapter(h)


# %% q3: layer norm twice
def parallel(h, norm, ffn, adapter):
    x = norm(h)
    return h + ffn(x) + adapter(norm(x))


# %% q3: no h in the sum
def parallel(h, norm, ffn, adapter):
    x = norm(h)
    return ffn(x) + adapter(x)


# %% q3: h twice, by an adapter with a residual of its own
def parallel(h, norm, ffn, adapter):
    x = norm(h)
    return h + ffn(x) + h + adapter(x)


# %% q3: the sequential adapter without its inner residual
def sequential(h, norm, ffn, adapter):
    return h + adapter(ffn(norm(h)))


# %% q3: the sequential adapter reads the whole sum
def sequential(h, norm, ffn, adapter):
    y = h + ffn(norm(h))
    return y + adapter(y)


# %% q3: both forms are the parallel one
def sequential(h, norm, ffn, adapter):
    return h + ffn(norm(h)) + adapter(norm(h))


# %% q4: both matrices at zero
def start(d, b, gain=1e-4):
    return torch.zeros(d, b), torch.zeros(b), torch.zeros(b, d), torch.zeros(d)


# %% q4: the up matrix at zero, as LoRA does
def start(d, b, gain=1e-4):
    down = nn.init.xavier_uniform_(torch.empty(d, b), gain)
    return down, torch.zeros(b), torch.zeros(b, d), torch.zeros(d)


# %% q4: the gain forgotten
def start(d, b, gain=1e-4):
    down = nn.init.xavier_uniform_(torch.empty(d, b))
    up = nn.init.xavier_uniform_(torch.empty(b, d))
    return down, torch.zeros(b), up, torch.zeros(d)


# %% q4: normal numbers
def start(d, b, gain=1e-4):
    down = nn.init.xavier_normal_(torch.empty(d, b), gain)
    up = nn.init.xavier_normal_(torch.empty(b, d), gain)
    return down, torch.zeros(b), up, torch.zeros(d)


# %% q4: random biases
def start(d, b, gain=1e-4):
    down = nn.init.xavier_uniform_(torch.empty(d, b), gain)
    up = nn.init.xavier_uniform_(torch.empty(b, d), gain)
    return down, gain * torch.randn(b), up, gain * torch.randn(d)


# %% q4: up is down, turned round
def start(d, b, gain=1e-4):
    down = nn.init.xavier_uniform_(torch.empty(d, b), gain)
    return down, torch.zeros(b), down.T.clone(), torch.zeros(d)


# %% q4: the gain under the root
def start(d, b, gain=1e-4):
    bound = (gain * 6 / (d + b)) ** 0.5
    down = torch.empty(d, b).uniform_(-bound, bound)
    up = torch.empty(b, d).uniform_(-bound, bound)
    return down, torch.zeros(b), up, torch.zeros(d)


# %% q4: only positive numbers
def start(d, b, gain=1e-4):
    bound = gain * (6 / (d + b)) ** 0.5
    return (
        bound * torch.rand(d, b),
        torch.zeros(b),
        bound * torch.rand(b, d),
        torch.zeros(d),
    )


# %% q5: reads what the sub-layer reads
def hang(sub, adapter):
    def add(module, args, output):
        return output + adapter(args[0])

    return [sub.register_forward_hook(add)]


# %% q5: reads what the sub-layer gives
def hang(sub, adapter):
    return [sub.register_forward_hook(lambda m, args, out: out + adapter(out))]


# %% q5: takes the place of the output
def hang(sub, adapter):
    def add(module, args, output):
        return adapter(module.layer_norm(args[0]))

    return [sub.register_forward_hook(add)]


# %% q5: returns one handle of two
def hang(sub, adapter):
    kept = {}

    def keep(module, args, output):
        kept["x"] = output

    sub.layer_norm.register_forward_hook(keep)
    return [sub.register_forward_hook(lambda m, a, out: out + adapter(kept["x"]))]


# %% q5: keeps the first text for ever
def hang(sub, adapter):
    kept = {}
    return [
        sub.layer_norm.register_forward_hook(lambda m, a, out: kept.setdefault("x", out) and None),
        sub.register_forward_hook(lambda m, a, out: out + adapter(kept["x"]).mean()),
    ]


# %% q5: a hook that returns nothing
def hang(sub, adapter):
    def add(module, args, output):
        output + adapter(module.layer_norm(args[0]))

    return [sub.register_forward_hook(add)]


# %% q6: counts what stands at padding
def dead(x, mask, down, down_bias):
    alive = F.relu(x @ down + down_bias) > 0
    return int((~alive.any(dim=1).any(dim=0)).sum())


# %% q6: dead in some text is enough
def dead(x, mask, down, down_bias):
    alive = (F.relu(x @ down + down_bias) > 0) & mask.bool().unsqueeze(-1)
    return int((~alive.any(dim=1)).any(dim=0).sum())


# %% q6: zero at some token is enough
def dead(x, mask, down, down_bias):
    alive = (F.relu(x @ down + down_bias) > 0) | ~mask.bool().unsqueeze(-1)
    return int((~alive.all(dim=1).all(dim=0)).sum())


# %% q6: the bias forgotten
def dead(x, mask, down, down_bias):
    alive = (F.relu(x @ down) > 0) & mask.bool().unsqueeze(-1)
    return int((~alive.any(dim=1).any(dim=0)).sum())


# %% q6: padding set to zero in x, where the bias still speaks
def dead(x, mask, down, down_bias):
    alive = F.relu((x * mask.unsqueeze(-1)) @ down + down_bias) > 0
    return int((~alive.any(dim=1).any(dim=0)).sum())


# %% q6: the number of another variant
answer_6 = answer_6 - 1

# %% q7: all
answer_7 = "a"

# %% q7: both matrices
answer_7 = "c"

# %% q7: as LoRA
answer_7 = "d"

# %% q7: the right letter, in capitals
answer_7 = "B"

# %% q8: chance
answer_8 = "a"

# %% q8: two of three
answer_8 = "b"

# %% q8: no ceiling
answer_8 = "d"

# %% q9: the number of matrices
answer_9 = "b"

# %% q9: the biases
answer_9 = "c"

# %% q9: the size of the weights
answer_9 = "d"
