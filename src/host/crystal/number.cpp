#include "crystal/number.h"

#include <cmath>

#include <gemmi/third_party/fast_float.h>

const char *kti_number_prefix(const char *text, const char *end, double *value)
{
    if (text < end && *text == '+') {
        text++;
        if (text < end && *text == '-')
            return nullptr;
    }
    double number = 0;
    auto result = fast_float::from_chars(text, end, number);
    if (result.ec != std::errc() && result.ec != std::errc::result_out_of_range)
        return nullptr;
    *value = number;
    return result.ptr;
}

bool kti_number_read(const char *text, const char *end, double *value)
{
    return kti_number_prefix(text, end, value) == end && std::isfinite(*value);
}
