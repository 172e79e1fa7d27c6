/* The products over all steps at once, around the loops. By the kernel of the loops, so that no number depends on a
   BLAS, its version or its threads. */

#define ROW_BLOCK 96 /* rows of A that stay in the cache while all panels pass */
#define DEPTH_BLOCK 256 /* steps and rows of the batch that are added up before they are added to the others */

/* C (rows x width) = start + A (rows x depth) @ M, M's element (k, j) at M[k * down + j * right]; panels: room for M. */
void matrix_product(long rows, long depth, long width, const R *A, long a_row, const R *M, long down, long right,
                    const R *start, R *C, long c_row, R *panels) {
    pack(panels, M, depth, width, down, right);
    for (long row = 0; row < rows; row += ROW_BLOCK) {
        const long some = rows - row < ROW_BLOCK ? rows - row : ROW_BLOCK;
        product(some, depth, width, A + row * a_row, a_row, panels, start, 0, C + row * c_row, c_row);
    }
}

/* G (outputs x inputs) = D^T X, of D (rows x outputs) and X (rows x inputs). panels: room for DEPTH_BLOCK rows of X
   and, where a panel is not full, for G with full ones. */
static void wide_gradient(long rows, long inputs, long outputs, const R *X, long x_row, const R *D, long d_row, R *G,
                          long g_row, R *panels) {
    R turned[DEPTH_BLOCK * TILE];
    const long full = (inputs + PANEL - 1) / PANEL * PANEL;
    R *const sums = full == inputs ? G : panels + panel_size(DEPTH_BLOCK, inputs);
    const long s_row = full == inputs ? g_row : full;
    for (long first = 0; first < rows; first += DEPTH_BLOCK) {
        const long depth = rows - first < DEPTH_BLOCK ? rows - first : DEPTH_BLOCK;
        pack(panels, X + first * x_row, depth, inputs, x_row, 1);
        for (long n = 0; n < outputs; n += TILE) {
            const long some = outputs - n < TILE ? outputs - n : TILE;
            for (long k = 0; k < depth; k++) {
                const R *restrict row = D + (first + k) * d_row + n;
                if (some == TILE)
                    memcpy(turned + k * TILE, row, TILE * sizeof(R));
                else
                    for (long i = 0; i < some; i++)
                        turned[k * TILE + i] = row[i];
            }
            const R *panel = panels;
            for (long left = 0; left < full; left += PANEL, panel += depth * PANEL) {
                R *target = sums + n * s_row + left;
                some_rows(some, depth, turned, 1, TILE, panel, PANEL, first ? target : 0, s_row, target, s_row, PANEL);
            }
        }
    }
    if (sums != G)
        for (long n = 0; n < outputs; n++)
            memcpy(G + n * g_row, sums + n * s_row, inputs * sizeof(R));
}

/* The same where X is so narrow that its rows would leave a panel empty: (X^T D)^T. panels: room for a panel of D. */
static void narrow_gradient(long rows, long inputs, long outputs, const R *X, long x_row, const R *D, long d_row, R *G,
                            long g_row, R *panels) {
    R sums[TILE * PANEL];
    const long tiles = (inputs + TILE - 1) / TILE, height = (inputs + tiles - 1) / tiles; /* of equal heights */
    for (long n = 0; n < outputs; n += PANEL) {
        const long columns = outputs - n < PANEL ? outputs - n : PANEL;
        for (long left = 0; left < inputs; left += height) {
            const long some = inputs - left < height ? inputs - left : height;
            for (long first = 0; first < rows; first += DEPTH_BLOCK) {
                const long depth = rows - first < DEPTH_BLOCK ? rows - first : DEPTH_BLOCK;
                const R *block = D + first * d_row + n;
                if (columns < PANEL)
                    pack(panels, block, depth, columns, d_row, 1);
                some_rows(some, depth, X + first * x_row + left, 1, x_row, columns < PANEL ? panels : block,
                          columns < PANEL ? PANEL : d_row, first ? sums : 0, PANEL, sums, PANEL, PANEL);
            }
            for (long i = 0; i < some; i++)
                for (long j = 0; j < columns; j++)
                    G[(n + j) * g_row + left + i] = sums[i * PANEL + j];
        }
    }
}

void weight_gradient(long rows, long inputs, long outputs, const R *X, long x_row, const R *D, long d_row, R *G,
                     long g_row, R *panels) {
    if (!inputs)
        return; /* a layer without input has a W without numbers */
    if (2 * inputs <= PANEL)
        narrow_gradient(rows, inputs, outputs, X, x_row, D, d_row, G, g_row, panels);
    else
        wide_gradient(rows, inputs, outputs, X, x_row, D, d_row, G, g_row, panels);
}
