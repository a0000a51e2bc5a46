"""The one engine for predictions: windows are predicted row by row, so that memory does not depend on height."""
