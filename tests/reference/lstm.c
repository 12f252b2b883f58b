#include <math.h>

#include "reference/twins.h"

void twin_lstm_forward(int graphs, int channels, int first, const double *bias_input,
                       const double *bias_hidden, const double *cell_before, double *gates, double *cell,
                       double *hidden)
{
    for (int r = 0; r < graphs; r++) {
        double *gate = gates + r * 4 * channels;
        for (int j = 0; j < 4 * channels; j++) {
            const double x = (first ? 0 : gate[j]) + bias_input[j] + bias_hidden[j];
            gate[j] = j / channels == 2 ? tanh(x) : twin_sigmoid(x);
        }
        for (int c = 0; c < channels; c++) {
            const double i = gate[c], f = gate[channels + c], g = gate[2 * channels + c],
                         o = gate[3 * channels + c];
            cell[r * channels + c] = i * g + (first ? 0 : f * cell_before[r * channels + c]);
            hidden[r * channels + c] = o * tanh(cell[r * channels + c]);
        }
    }
}

void twin_lstm_backward(int graphs, int channels, int first, int last, const double *cell_before,
                        const double *cell, const double *hidden_gradient, double *gates,
                        double *cell_gradient)
{
    for (int r = 0; r < graphs; r++)
        for (int c = 0; c < channels; c++) {
            double *gate = gates + r * 4 * channels + c;
            const int at = r * channels + c;
            const double i = gate[0], f = gate[channels], g = gate[2 * channels], o = gate[3 * channels];
            const double before = first ? 0 : cell_before[at], dh = hidden_gradient[at];
            const double dc = (last ? 0 : cell_gradient[at]) + dh * o * (1 - tanh(cell[at]) * tanh(cell[at]));
            gate[0] = dc * g * i * (1 - i);
            gate[channels] = dc * before * f * (1 - f);
            gate[2 * channels] = dc * i * (1 - g * g);
            gate[3 * channels] = dh * tanh(cell[at]) * o * (1 - o);
            cell_gradient[at] = dc * f;
        }
}

void twin_lstm_bias_gradient(int graphs, int gates, const double *step0, const double *step1,
                             double *bias_gradient)
{
    for (int j = 0; j < gates; j++) {
        bias_gradient[j] = 0;
        for (int r = 0; r < graphs; r++)
            bias_gradient[j] += step0[r * gates + j] + step1[r * gates + j];
    }
}
