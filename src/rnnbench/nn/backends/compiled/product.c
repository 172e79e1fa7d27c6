/* The matrix product of the loops: C (+)= A @ M, with M packed once a call and used at every step.

   A has few rows (a batch) and C is often narrow, where a BLAS spends its time on finding out what to do. M is cut into
   panels of PANEL columns, each laid out in the order in which it is read. A tile is TILE rows of one panel: its sums
   stay in registers through the whole depth. The order of all sums depends on the sizes alone. */

#if defined(__AVX512F__)
#define BYTES 64
#define TILE 8
#elif defined(__AVX__)
#define BYTES 32
#define TILE 6
#else
#define BYTES 16
#define TILE 6
#endif

#define LANES (BYTES / (int)sizeof(R))
#define PANEL (2 * LANES)
#define INLINE static inline __attribute__((always_inline))

typedef R aligned_vector __attribute__((vector_size(BYTES)));
typedef R vector __attribute__((vector_size(BYTES), aligned(sizeof(R)), may_alias));

#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety) interleave(disable)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

/* How many numbers the panels of a (depth x width) matrix take. */
INLINE long panel_size(long depth, long width) {
    return (width + PANEL - 1) / PANEL * PANEL * depth;
}

/* Element (k, j) of M lies at M[k * down + j * right]; columns past the width are zero. Returns 0, or NaN where an
   element is not finite: a product with zeros may be left out only where it would give zeros. */
static R pack(R *restrict panels, const R *restrict M, long depth, long width, long down, long right) {
    R finite[PANEL] = {0};
    for (long left = 0; left < width; left += PANEL) {
        const long columns = width - left < PANEL ? width - left : PANEL;
        for (long k = 0; k < depth; k++, panels += PANEL) {
            for (long j = 0; j < columns; j++) {
                const R element = M[k * down + (left + j) * right];
                panels[j] = element;
                finite[j] += element * 0;
            }
            for (long j = columns; j < PANEL; j++)
                panels[j] = 0;
        }
    }
    for (long j = 1; j < PANEL; j++)
        finite[0] += finite[j];
    return finite[0];
}

/* C = start + A @ panel, for ROWS rows and one panel. Element (i, k) of A lies at A[i * a_row + k * a_step], row k of the
   panel at panel + k * p_step. start: C itself, one row for all (start_row 0), or NULL for zeros. */
INLINE void tile(const int ROWS, long depth, const R *restrict A, long a_row, long a_step, const R *restrict panel,
                 long p_step, const R *start, long start_row, R *C, long c_row, long columns) {
    aligned_vector left[TILE], right[TILE];
    R edge[TILE * PANEL];
    if (!start) {
        for (int i = 0; i < ROWS; i++) {
            left[i] = (aligned_vector){0};
            right[i] = (aligned_vector){0};
        }
    } else if (columns == PANEL) {
        for (int i = 0; i < ROWS; i++) {
            left[i] = *(const vector *)(start + i * start_row);
            right[i] = *(const vector *)(start + i * start_row + LANES);
        }
    } else {
        for (int i = 0; i < ROWS; i++) {
            for (int j = 0; j < PANEL; j++)
                edge[i * PANEL + j] = j < columns ? start[i * start_row + j] : 0;
            left[i] = *(const vector *)(edge + i * PANEL);
            right[i] = *(const vector *)(edge + i * PANEL + LANES);
        }
    }
    for (long k = 0; k < depth; k++) {
        const aligned_vector m_left = *(const vector *)(panel + k * p_step);
        const aligned_vector m_right = *(const vector *)(panel + k * p_step + LANES);
        for (int i = 0; i < ROWS; i++) {
            const R a = A[i * a_row + k * a_step];
            left[i] += a * m_left;
            right[i] += a * m_right;
        }
    }
    if (columns == PANEL) {
        for (int i = 0; i < ROWS; i++) {
            *(vector *)(C + i * c_row) = left[i];
            *(vector *)(C + i * c_row + LANES) = right[i];
        }
    } else {
        for (int i = 0; i < ROWS; i++) {
            *(vector *)(edge + i * PANEL) = left[i];
            *(vector *)(edge + i * PANEL + LANES) = right[i];
            for (long j = 0; j < columns; j++)
                C[i * c_row + j] = edge[i * PANEL + j];
        }
    }
}

/* As tile, for any number of rows up to TILE. Not inline: it is called for thousands of operations each time, and one
   copy of it is a third of the time that compiling takes. */
static __attribute__((noinline)) void some_rows(long rows, long depth, const R *restrict A, long a_row, long a_step,
                                                const R *restrict panel, long p_step, const R *start, long start_row,
                                                R *C, long c_row, long columns) {
#define ROWS_OF(n) tile(n, depth, A, a_row, a_step, panel, p_step, start, start_row, C, c_row, columns)
    switch (rows) {
#if TILE > 6
    case 8: ROWS_OF(8); break;
    case 7: ROWS_OF(7); break;
#endif
    case 6: ROWS_OF(6); break;
    case 5: ROWS_OF(5); break;
    case 4: ROWS_OF(4); break;
    case 3: ROWS_OF(3); break;
    case 2: ROWS_OF(2); break;
    case 1: ROWS_OF(1); break;
    }
#undef ROWS_OF
}

/* C (rows x width) = start + A (rows x depth) @ the packed matrix. a_row, c_row: from one row to the next. */
static void product(long rows, long depth, long width, const R *A, long a_row, const R *panel, const R *start,
                    long start_row, R *C, long c_row) {
    for (long first = 0; first < width; first += PANEL, panel += depth * PANEL) {
        const long columns = width - first < PANEL ? width - first : PANEL;
        const R *begin = start ? start + first : 0;
        for (long row = 0; row < rows; row += TILE) {
            const long some = rows - row < TILE ? rows - row : TILE;
            some_rows(some, depth, A + row * a_row, a_row, 1, panel, PANEL, begin ? begin + row * start_row : 0,
                      start_row, C + row * c_row + first, c_row, columns);
        }
    }
}
