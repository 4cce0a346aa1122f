// Runs once before the tests of a process: the engine is compiled here if it is not there yet, outside any test's clock.
import { native } from "../../ffi/native.ts";

native();
