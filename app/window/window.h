/* window: `pumice window`. */
#ifndef PUMICE_WINDOW_H
#define PUMICE_WINDOW_H

#include "app/options.h"

/* Opens the window and returns the program's exit code when it was closed. Options that were given override the
 * settings for this time and are remembered like what the window changes. */
int command_window(const struct options *o);
/* A person sits at a display and did not ask for the terminal: DISPLAY or WAYLAND_DISPLAY is set, and standard input and
 * output are a terminal, or input is a device that is none (what desktops give). Pipes and files mean a script. */
bool window_wanted(void);

#endif
