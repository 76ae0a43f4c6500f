import Transformer

/// What an evaluation reports, as kept in the job's database: to the last bit, and also where it is not a number.
extension WindowLoss {
  package func record() throws -> String { try JSONForm.record(self, numbers: .all) }

  package init(record: String) throws { self = try JSONForm.value(ofRecord: record, numbers: .all) }
}
