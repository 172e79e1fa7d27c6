"""The operations that a step may use on blocks: each with its C expression and its derivative.

To add one, add a line here and its torch name in `tracing`. In C the operands are {0}, {1}, numbers are written in the
loop's precision, and every expression must pass a NaN on: `x > m ? m : x` does, `fmin` does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rnnbench.nn.backends.compiled.form import Form, Operand, Value

Gradient = Callable[[Form, Value, Operand], tuple[Operand | None, ...]]


@dataclass(frozen=True)
class Operation:
    """c: its expression. gradient: (form, the value, its gradient) -> the gradient of each operand, None for none.

    cheap: the backward loop computes it again rather than keep it.
    """

    c: str
    gradient: Gradient | None
    cheap: bool = False


def times(form: Form, gradient: Operand, factor: Operand) -> Operand:
    return form.make("mul", gradient, factor)


def _add(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    return g, g


def _sub(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    return g, form.make("neg", g)


def _mul(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    a, b = y.args
    return times(form, g, b), times(form, g, a)


def _div(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    share = form.make("div", g, y.args[1])
    return share, form.make("neg", times(form, share, y))


def _neg(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    return (form.make("neg", g),)


def _sigmoid(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    return (times(form, g, form.make("mul", y, form.make("sub", 1.0, y))),)


def _tanh(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    return (times(form, g, form.make("sub", 1.0, form.make("mul", y, y))),)


def _relu(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    return (form.make("relu_gradient", y.args[0], g),)


def _leaky(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    a, slope = y.args
    return form.make("leaky_gradient", a, g, slope), None


def _exp(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    return (times(form, g, y),)


def _log(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    return (form.make("div", g, y.args[0]),)


def _sqrt(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    return (form.make("div", times(form, g, 0.5), y),)


def _abs(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    return (form.make("abs_gradient", y.args[0], g),)


def _softplus(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    return (form.make("softplus_gradient", y.args[0], g),)


def _log_sigmoid(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    return (times(form, g, form.make("sigmoid", form.make("neg", y.args[0]))),)


def _maximum(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    a, b = y.args
    return form.make("share", a, b, g), form.make("share", b, a, g)


def _minimum(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    a, b = y.args
    return form.make("share", b, a, g), form.make("share", a, b, g)


def _joined(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    return (g,) * len(y.args)


def _stop(form: Form, y: Value, g: Operand) -> tuple[Operand | None, ...]:
    return (None,)


TABLE: dict[str, Operation] = {
    "add": Operation("({0} + {1})", _add, cheap=True),
    "sub": Operation("({0} - {1})", _sub, cheap=True),
    "mul": Operation("({0} * {1})", _mul, cheap=True),
    "div": Operation("({0} / {1})", _div),
    "neg": Operation("(-{0})", _neg, cheap=True),
    "sigmoid": Operation("sigmoid_({0})", _sigmoid),
    "tanh": Operation("tanh_({0})", _tanh),
    "relu": Operation("({0} < 0 ? 0 : {0})", _relu, cheap=True),  # not a slope of 0: of -inf that is NaN
    "leaky": Operation("({0} < 0 ? {1} * {0} : {0})", _leaky, cheap=True),
    "exp": Operation("exp_({0})", _exp),
    "log": Operation("log_({0})", _log),
    "sqrt": Operation("sqrt_({0})", _sqrt),
    "abs": Operation("({0} < 0 ? -{0} : {0})", _abs, cheap=True),
    "softplus": Operation("softplus_({0})", _softplus),
    "log_sigmoid": Operation("log_sigmoid_({0})", _log_sigmoid),
    "maximum": Operation("larger_({0}, {1})", _maximum, cheap=True),
    "minimum": Operation("(-larger_(-{0}, -{1}))", _minimum, cheap=True),
    "stop": Operation("{0}", _stop, cheap=True),  # detach: the value without its gradient
    # A block of W x and the products that are added to it where it lies (`joining`): read from there.
    "joined": Operation("", _joined),
    # Of derivatives only, each as torch has it where an operand is NaN:
    "relu_gradient": Operation("({0} <= 0 ? 0 : {1})", None, cheap=True),
    "leaky_gradient": Operation("({0} > 0 ? {1} : {2} * {1})", None, cheap=True),
    "abs_gradient": Operation("({0} > 0 ? {1} : {0} < 0 ? -{1} : 0 * {1})", None, cheap=True),
    "softplus_gradient": Operation("({0} > 20 ? {1} : {1} * sigmoid_({0}))", None),
    "share": Operation("({0} < {1} ? 0 : {0} == {1} ? {2} / 2 : {2})", None, cheap=True),
}
