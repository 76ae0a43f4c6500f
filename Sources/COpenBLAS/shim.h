#pragma once

#include <cblas.h>

// Debian's OpenBLAS exports LAPACK's Fortran entry points but ships no LAPACKE header.
// All arguments are passed by address; characters carry no hidden length here.
extern void spotrf_(const char *uplo, const blasint *n, float *a, const blasint *lda, blasint *info);
extern void dpotrf_(const char *uplo, const blasint *n, double *a, const blasint *lda, blasint *info);
extern void dpotri_(const char *uplo, const blasint *n, double *a, const blasint *lda, blasint *info);
extern void dpotrs_(const char *uplo, const blasint *n, const blasint *nrhs, const double *a, const blasint *lda,
                    double *b, const blasint *ldb, blasint *info);
