import Numerics

/// The sizes of a fit.
package struct FitShape: Sendable {
  package let rows: Int
  /// Channels as they come.
  package let channels: Int
  package let format: PackedFormat

  package init(rows: Int, channels: Int, format: PackedFormat) {
    self.rows = rows
    self.channels = channels
    self.format = format
  }

  var d: Int { format.groupSize }
  var groups: Int { format.groups(columns: channels) }
  /// Channels padded to whole groups.
  var columns: Int { groups * d }
  var critical: Int { format.criticalGroups(columns: channels) }

  /// Adds rows and columns of zeros to [.., channels] to make [rows, columns].
  func pad(_ matrix: inout Matrix, rows: Int) {
    if columns == channels { return }
    var padded = Matrix(rows: rows, columns: columns)
    for row in 0..<matrix.rows {
      for column in 0..<channels { padded[row, column] = matrix[row, column] }
    }
    matrix = padded
  }
}
