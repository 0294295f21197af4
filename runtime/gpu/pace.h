/* pace: how long work takes on the device, learned from every submission, so that none runs into a driver's watchdog (some
 * reset the device after two seconds) and a cancel acts soon.
 *
 * Work is counted in operations: additions, multiplications, and for each byte moved PACE_OPS_A_BYTE more, about what devices
 * can do in that time. It is a rough measure: an estimate too low is mended by the next submission, since the pace follows a
 * slower one at once and a faster one by halves. Pure. */
#ifndef PUMICE_PACE_H
#define PUMICE_PACE_H

#include "../ops.h"

#define PACE_SUBMISSION_NS 100e6 /* aimed at; the promise is 200 ms */
#define PACE_PIECE_NS      20e6  /* a command buffer: what a submission is made of */
#define PACE_START_NS      1000000 /* a submission shorter than this says nothing about how slow work is */
#define PACE_OPS_A_BYTE    10.0

/* Of a stretch of a plan, when run with P tokens in the cache: base + P * a_past. */
struct work {
    double base, a_past;
};
struct work work_of(const struct op *op);
struct work work_add(struct work a, struct work b);

/* Before anything was measured: what a slow device of the kind takes for an operation, ns. */
double pace_first(enum pumice_device_kind kind);
/* After a submission of `work` operations took ns. */
double pace_learn(double pace, double work, uint64_t ns);

#endif
