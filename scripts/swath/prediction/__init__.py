"""The one engine for predictions: windows are predicted row by row, so that memory hardly depends on height."""
