/* pace: see pace.h. */
#include "pace.h"

struct work work_of(const struct op *op)
{
    const double none = op_flops(op, 0) + PACE_OPS_A_BYTE * (double)op_bytes(op, 0);
    const double one = op_flops(op, 1) + PACE_OPS_A_BYTE * (double)op_bytes(op, 1);
    return (struct work){none, one - none};
}

struct work work_add(struct work a, struct work b) { return (struct work){a.base + b.base, a.a_past + b.a_past}; }

double pace_first(enum pumice_device_kind kind)
{
    return kind == PUMICE_DEVICE_DISCRETE ? 1 / 500.0 : kind == PUMICE_DEVICE_SOFTWARE ? 1 / 5.0 : 1 / 50.0;
}

double pace_learn(double pace, double work, uint64_t ns)
{
    if (work <= 0) return pace;
    const double now = (double)ns / work;
    if (ns < PACE_START_NS && now > pace) return pace; /* most of it was the start of a submission, not work */
    return now > pace ? now : (now + pace) / 2;
}
