// As an exception: what Numerics made of the library's settings is to be seen in the library alone.
import COpenBLAS
import Numerics
import Testing

@Suite struct BLASTests {
  /// Work is split by our own threads. On a machine of one processor this holds whatever the code does.
  @Test func productsHaveOneThread() {
    var product: [Float] = [0]
    BLAS.sgemm(.no, .no, m: 1, n: 1, k: 2, [2, 3], lda: 2, [5, 7], ldb: 1, &product, ldc: 1)
    #expect(product == [31])
    #expect(openblas_get_num_threads() == 1)
  }
}
