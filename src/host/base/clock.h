/* Time for progress and benchmarks. */
#ifndef KTI_BASE_CLOCK_H
#define KTI_BASE_CLOCK_H

/* Seconds of a clock that never jumps; only differences mean something. */
double kti_seconds(void);

#endif
