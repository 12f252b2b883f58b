/* What follows the backward pass: the gradient's norm, then Adam with what a recipe adds to it (docs/method.md, section 5). */
#ifndef KTI_TRAIN_OPTIMISER_H
#define KTI_TRAIN_OPTIMISER_H

#include "train/builder.h"

/* The norm of the gradient of all trained parameters, which devices that share a fold add up first. */
void kti_append_gradient_norm(kti_builder *b);

/* A step of the trained parameters: weight decay, Adam, and the running mean of the weights. */
void kti_append_optimiser(kti_builder *b);

#endif
