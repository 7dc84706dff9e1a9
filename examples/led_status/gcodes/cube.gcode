; A very small print. The emulated bed stays cold, so nothing waits for it.
G4 P1500
M400
M140 S60
G4 P2000
M400
G28 X
M140 S0
G28 Y Z
G1 X10 F600
G1 Y10
G1 X0
G1 Y0
M400
