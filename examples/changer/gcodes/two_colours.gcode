; A print of a few seconds, with a filament change
G1 X50 F3000
T1
G1 X0
M400
M118 Print is over
