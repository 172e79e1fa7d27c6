/* The functions of a step. In float they are written so that a compiler can compute many at once, with an error of one
   or two units in the last place; saturated gates are exactly 0 and 1 where torch's are. A NaN stays a NaN: clamps are
   comparisons that are false for it. In double they are the library's. */

#ifdef SINGLE

/* e^r - 1 and 2^n of e^x = 2^n e^r, for |x| <= 87: x = n log 2 + r, e^r by a polynomial (Cephes' expf). */
INLINE float reduced(float x, float *scale) {
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it leaves a whole number in the last bits */
    union { float number; int bits; } power;
    const float shifted = x * 1.44269504088896341f + round;
    const float n = shifted - round;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    power.number = shifted;
    power.bits = (power.bits << 23) + 0x3f800000;
    *scale = power.number;
    return p * r * r + r;
}

INLINE float power(float x) {
    float scale;
    const float less_one = reduced(x, &scale);
    return less_one * scale + scale;
}

INLINE float clamped(float x) {
    x = x > 87.0f ? 87.0f : x;
    return x < -87.0f ? -87.0f : x;
}

INLINE float sigmoid_(float x) {
    const float share = 1.0f / (1.0f + power(clamped(-x)));
    return x < -87.0f ? 0.0f : share;
}

/* (e^2x - 1) / (e^2x + 1), with e^2x - 1 = 2^n (e^r - 1) + (2^n - 1): exact for small x, and 1 from 9 on. */
INLINE float tanh_(float x) {
    x = x > 9.1f ? 9.1f : x;
    x = x < -9.1f ? -9.1f : x;
    float scale, p = reduced(2.0f * x, &scale);
    const float less_one = p * scale + (scale - 1.0f);
    return less_one / (less_one + 2.0f);
}

/* Two halves of x, so that what is below the smallest and near the largest number comes out, too. */
INLINE float exp_(float x) {
    float half = x * 0.5f;
    half = half > 60.0f ? 60.0f : half;
    half = half < -60.0f ? -60.0f : half;
    const float root = power(half);
    return root * root;
}

INLINE float log_(float x) { return logf(x); }
INLINE float sqrt_(float x) { return sqrtf(x); }
INLINE float softplus_(float x) { return x > 20.0f ? x : log1pf(expf(x)); }
INLINE float log_sigmoid_(float x) { return (x < 0 ? x : 0) - log1pf(expf(x < 0 ? x : -x)); }

#else

INLINE double sigmoid_(double x) { return 1 / (1 + exp(-x)); }
INLINE double tanh_(double x) { return tanh(x); }
INLINE double exp_(double x) { return exp(x); }
INLINE double log_(double x) { return log(x); }
INLINE double sqrt_(double x) { return sqrt(x); }
INLINE double softplus_(double x) { return x > 20 ? x : log1p(exp(x)); }
INLINE double log_sigmoid_(double x) { return (x < 0 ? x : 0) - log1p(exp(x < 0 ? x : -x)); }

#endif

/* The larger of two; NaN where either is. */
INLINE R larger_(R a, R b) {
    return a >= b || a != a ? a : b;
}
