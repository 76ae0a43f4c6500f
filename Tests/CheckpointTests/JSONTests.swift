import Checkpoint
import Testing

@Suite struct JSONTests {
  private func parse(_ text: String) throws -> JSONValue { try JSONValue(parsing: text.utf8) }

  @Test func valuesOfEveryKind() throws {
    let value = try parse(" {\"a\" : [1, -2.50, 1e-05, true, false, null], \"b\":{}, \"\":[] }\n")
    #expect(
      value
        == .object([
          "a": .array([.number("1"), .number("-2.50"), .number("1e-05"), .bool(true), .bool(false), .null]),
          "b": .object([:]), "": .array([]),
        ]))
    #expect(value["a"]?.array?[0].integer == 1 && value["a"]?.array?[1].integer == nil)
    #expect(value["a"]?.array?[2].double == 1e-5)
  }

  @Test func escapes() throws {
    #expect(try parse(#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é""#).string == "\"\\/\u{8}\u{c}\n\r\té😀é")
  }

  @Test func textComesBackAsItWas() throws {
    let text = #"{"a":[1.0,10000.0,1e-05,"\"\\\n\u0001é😀"],"b":{"c":null,"d":true}}"#
    #expect(try parse(text).text(indented: false) == text)
    let indented = try parse(text).text(indented: true)
    #expect(try parse(indented) == parse(text))
    #expect(indented.hasPrefix("{\n  \"a\": [\n    1.0,\n"))
    #expect(try parse("{\"a\":[],\"b\":{}}").text(indented: true) == "{\n  \"a\": [],\n  \"b\": {}\n}")
  }

  @Test(arguments: [
    "", " ", "nul", "nulll", "01", "-", "1.", ".5", "1e", "+1", "NaN", "Infinity", "0x1", "[1,]", "[1 2]", "[", "{",
    "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "\"", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"",
    "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\n\"", "1 2", "{\"a\":1,\"a\":2}", "'a'", "[1]]",
  ]) func textThatIsNoJSON(text: String) {
    #expect(throws: JSONSyntaxError.self) { try parse(text) }
  }

  @Test(arguments: [
    [0x22, 0xff, 0x22], [0x22, 0xc0, 0x80, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22], [0x22, 0xe2, 0x82],
  ])
  func invalidUTF8(bytes: [UInt8]) {
    #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: bytes) }
  }

  @Test func depthHasALimit() throws {
    func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
    _ = try parse(nested(JSONValue.maxDepth))
    #expect(throws: JSONSyntaxError.self) { try parse(nested(JSONValue.maxDepth + 1)) }
  }

  @Test func codableValuesGoBothWays() throws {
    struct Settings: Codable, Equatable {
      var name = "crvq"
      var ratio = 0.02
      var bits = [8, 8]
    }
    let value = try JSONValue(encoding: Settings())
    #expect(value.text(indented: false) == #"{"bits":[8,8],"name":"crvq","ratio":0.02}"#)
    #expect(try value.decode(Settings.self) == Settings())
  }
}
