import Numerics
import TestSupport
import Testing

@Suite struct BlockedCholeskyTests {
  /// XᵀX / n + 0.1, of n + 3 random rows X.
  private func positive(_ n: Int) -> [Float] {
    var stream = RandomStream(seed: UInt64(n), key: "Cholesky")
    let count = n + 3
    let x = (0..<count * n).map { _ in stream.normal() }
    var a = [Float](repeating: 0, count: n * n)
    BLAS.sgemm(.yes, .no, m: n, n: n, k: count, alpha: 1 / Float(n), x, lda: n, x, ldb: n, &a, ldc: n)
    for i in 0..<n { a[i * n + i] += 0.1 }
    return a
  }

  private func factor(_ a: [Float], _ n: Int, threads: Int) -> [Float]? {
    var values = a
    let isPositive = values.withUnsafeMutableBufferPointer { values in
      values.baseAddress.map { BlockedCholesky($0, n: n, team: ThreadTeam(threads: threads)).factorise() } ?? true
    }
    return isPositive ? values : nil
  }

  /// Sizes around a panel and a tile.
  @Test(arguments: [1, 2, 31, 127, 128, 129, 257, 385, 700]) func theProductOfTheFactorsIsTheMatrix(n: Int) throws {
    let a = positive(n)
    let l = try #require(factor(a, n, threads: 2))
    var (product, expected): ([Double], [Float]) = ([], [])
    for i in 0..<n {
      for j in 0...i {
        product.append((0...j).reduce(0.0) { $0 + Double(l[i * n + $1]) * Double(l[j * n + $1]) })
        expected.append(a[i * n + j])
      }
      for j in i + 1..<max(i + 1, n) { #expect(l[i * n + j] == a[i * n + j], "above the diagonal") }
    }
    #expect(worstDifference(product, expected) < 1e-5)
  }

  @Test func threadsChangeNoBit() throws {
    let a = positive(600)
    let one = try #require(factor(a, 600, threads: 1))
    #expect(factor(a, 600, threads: 3) == one)
  }

  @Test(arguments: [0, 127, 128, 299]) func aMatrixThatIsNotPositiveIsSaidToBeNone(at row: Int) {
    for value in [-1, .nan] as [Float] {
      var a = positive(300)
      a[row * 300 + row] = value
      #expect(factor(a, 300, threads: 2) == nil)
    }
  }
}
