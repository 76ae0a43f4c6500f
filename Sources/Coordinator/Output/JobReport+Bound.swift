extension JobReport {
  /// Checks every linear against the bound that the user has set, if any.
  ///
  /// - Throws: ``CoordinatorError`` if one is above it.
  public func checkBound() throws(CoordinatorError) {
    guard let bound = options.maximumRelativeError else { return }
    let above = linears.filter { $0.relativeError > bound }
    guard let first = above.first else { return }
    throw .badInput(
      "\(above.count) linears are above --max-relative-error \(bound), the first block \(first.block) \(first.name) "
        + "with \(first.relativeError.fixed(5)); the output is kept in \(options.output)")
  }
}
