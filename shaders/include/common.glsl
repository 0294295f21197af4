// Included first by every shader.
#extension GL_EXT_control_flow_attributes : require
#define PUMICE_GLSL 1
#include "push.h"

// Lanes of a workgroup; every kernel takes it as specialization constant 0.
layout(local_size_x_id = 0) in;
#define WG gl_WorkGroupSize.x

// Words 0..3 of the step buffer (struct step in ops.h), then the token ids.
#define STEP_PAST(step) step[0]
#define STEP_TOKEN(step, t) step[4 + (t)]
